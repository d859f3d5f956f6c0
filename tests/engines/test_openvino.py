"""Paddle Inference through OpenVINO: the older program has the same outputs, and Paddle is as before."""

import subprocess
import sys

import networks as nets
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from spconvify import EngineError, convert, fuse
from spconvify.engines import check_engine, openvino, usable_engines
from spconvify.engines.process import Worker
from spconvify.engines.worker import random_values

SHAPE = (2, 3, 16, 16)
needs_openvino = pytest.mark.skipif(
    "openvino" not in usable_engines("cpu"), reason="this Paddle brings no OpenVINO"
)


class Unary(nn.Layer):
    """Operators that Paddle 3 traces into its new representation only, called in every way."""

    def __init__(self):
        super().__init__()
        self.conv, self.activation = nets.conv(3, 4), nn.Sigmoid()

    def forward(self, x):
        x = self.activation(self.conv(x))
        x = paddle.tanh(x) + F.sigmoid(x) + paddle.exp(-x) + nn.functional.tanh(x)
        return paddle.sqrt(x * x + 1.0) + paddle.abs(x) + paddle.log(paddle.abs(x) + 1.0)


@needs_openvino
@pytest.mark.parametrize(
    "make",
    [
        Unary,
        lambda: convert(nets.PlainNet(), fusion="gap"),
        lambda: fuse(nets.trained(convert(nets.PlainNet(), fusion="gap")), engine="openvino"),
        lambda: fuse(nets.trained(convert(nets.PlainNet(), fusion="sum")), engine="openvino"),
    ],
)
def test_the_program_that_runs_is_the_same(make, tmp_path):
    model = nets.trained(make())
    before = {name: dict(vars(layer)) for name, layer in model.named_sublayers(include_self=True)}
    flags = paddle.get_flags("FLAGS_enable_pir_api")
    entry_points = paddle.tanh, F.sigmoid, paddle.exp, paddle._C_ops.sigmoid
    openvino.ENGINE.write(model, tmp_path, SHAPE)
    assert (paddle.tanh, F.sigmoid, paddle.exp, paddle._C_ops.sigmoid) == entry_points
    assert paddle.get_flags("FLAGS_enable_pir_api") == flags
    for name, layer in model.named_sublayers(include_self=True):
        assert vars(layer).keys() == before[name].keys()
    assert (tmp_path / "model.pdmodel").exists()
    job = {"engine": "openvino", "input_shape": SHAPE, "threads": 1, "device": "cpu"}
    with Worker({**job, "folder": str(tmp_path)}, "it") as worker:
        worker.wait_until_loaded()
        worker.save_outputs(tmp_path / "outputs.npz")
    expected = model(paddle.to_tensor(random_values(SHAPE))).numpy()
    with np.load(tmp_path / "outputs.npz") as found:
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found["arr_0"], expected, rtol=0, atol=2e-5 * scale)


LOADED = """
import pathlib, sys, zlib
import numpy as np
from spconvify.engines.openvino import ENGINE
run = ENGINE.load(pathlib.Path(sys.argv[1]), np.zeros((2, 3, 16, 16), np.float32))
run()
sys.exit("openvino_intel_cpu_plugin" not in open("/proc/self/maps").read())
"""


@needs_openvino
def test_openvino_is_what_runs_it(tmp_path):
    openvino.ENGINE.write(nets.trained(nets.PlainNet()), tmp_path, SHAPE)
    before = sorted(tmp_path.iterdir())
    assert subprocess.run([sys.executable, "-c", LOADED, str(tmp_path)], cwd=tmp_path).returncode == 0
    assert sorted(tmp_path.iterdir()) == before  # no cache is left


@needs_openvino
def test_what_cannot_be_traced_is_named(tmp_path):
    class Diagonal(nn.Layer):
        def forward(self, x):
            return paddle.diagonal(F.relu(x))

    with pytest.raises(
        EngineError, match="Sequential can't be traced for Paddle Inference in layer '1'"
    ):
        openvino.ENGINE.write(nn.Sequential(nets.conv(3), Diagonal()), tmp_path, SHAPE)
    assert paddle.in_dynamic_mode()
    assert F.sigmoid(paddle.zeros([1])).item() == 0.5


def test_where_there_is_none_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(openvino, "_has_openvino", lambda: False)
    assert "openvino" not in usable_engines("cpu")
    with pytest.raises(EngineError, match=r"brings OpenVINO with it: pip install 'spconvify\[cpu\]'"):
        check_engine("openvino")
    monkeypatch.setattr(openvino, "_has_openvino", lambda: True)
    check_engine("openvino")
    with pytest.raises(EngineError, match="openvino runs on the CPU; use device='cpu', not gpu:0"):
        check_engine("openvino", "gpu:0")
