"""ONNX Runtime: what the converter can't do is told in its words, and not in a warning's."""

import paddle
import pytest
from paddle import nn

from spconvify import EngineError
from spconvify.engines import onnxruntime


class Erfinv(nn.Layer):
    def forward(self, x):
        return paddle.erfinv(x)


@pytest.mark.parametrize("network", [Erfinv(), nn.AdaptiveAvgPool2D(7)])  # the second crashes it
def test_what_cannot_be_converted_is_named(network, tmp_path, monkeypatch):
    pytest.importorskip("paddle2onnx")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # Paddle warns of it: "... does not support ..."
    with pytest.raises(EngineError, match=r"can't be written as ONNX: .*(rfinv|FatalError)") as caught:
        onnxruntime.write(network, tmp_path, (1, 3, 4, 4))
    assert "OMP_NUM_THREADS" not in str(caught.value)
