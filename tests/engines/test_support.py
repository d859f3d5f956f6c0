"""Engines and devices: unknown ones are refused with the nearest name or the remedy."""

import subprocess
import sys

import paddle
import pytest

from spconvify import ArgumentError, EngineError
from spconvify.engines import check_engine, describe, measure, registry


def test_unknown_engine():
    with pytest.raises(ArgumentError, match="'inferense' is unknown; did you mean 'inference'"):
        check_engine("inferense")
    with pytest.raises(ArgumentError, match="'tvm' is unknown; use one of: inference, eager"):
        check_engine("tvm")


def test_unknown_device():
    with pytest.raises(ArgumentError, match="device 'cuda' is unknown; use cpu or gpu:0"):
        check_engine("eager", "cuda")


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: False)
    with pytest.raises(EngineError, match=r"built for the CPU; install 'spconvify\[gpu\]'"):
        measure({}, (1, 3, 8, 8), device="gpu:0")
    monkeypatch.setattr(paddle, "is_compiled_with_cuda", lambda: True)
    monkeypatch.setattr(paddle.device.cuda, "device_count", lambda: 1)
    check_engine("eager", "gpu:0")
    with pytest.raises(EngineError, match=r"gpu:1 isn't there: Paddle sees 1 GPU.*device='cpu'"):
        check_engine("eager", "gpu:1")


@pytest.mark.parametrize("engine", registry.names())
def test_facts_for_a_caption(engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
    facts = describe(engine)
    assert (facts["version"] == paddle.__version__) == (engine != "onnxruntime")
    assert facts["dtype"] == "float32"
    assert facts["processor"]


def test_checking_and_latency_need_no_paddle():
    code = (
        "import sys; from spconvify.engines import Latency, check_engine, measure, speedup; "
        "check_engine('eager', 'cpu'); sys.exit('paddle' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
