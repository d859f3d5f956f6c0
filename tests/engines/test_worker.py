"""The worker's side, in this process: it answers with counts, times and the network's outputs."""

import json
from types import SimpleNamespace

import networks as nets
import numpy as np
import paddle
import pytest

from spconvify import EngineError
from spconvify.engines import registry
from spconvify.engines.worker import answers, random_values

SHAPE = (2, 3, 12, 12)


def job_of(engine, folder):
    return {
        "engine": engine, "folder": str(folder), "input_shape": SHAPE, "threads": 1, "device": "cpu",
    }  # fmt: skip


@pytest.mark.parametrize("engine", ["eager", "inference", "onnxruntime"])
def test_answers(tmp_path, monkeypatch, engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("paddle2onnx")
    model = nets.trained(nets.PlainNet())
    expected = model(paddle.to_tensor(random_values(SHAPE))).numpy()
    registry.engine(engine).write(model, tmp_path, SHAPE)
    questions = [{"warm_up": 0.01}, {"run": 2}, {"save": str(tmp_path / "outputs.npz")}]
    monkeypatch.chdir(tmp_path)
    loaded, runs, times, outputs = answers(job_of(engine, tmp_path), map(json.dumps, questions))
    assert loaded == "loaded"
    assert runs >= 1
    assert len(times) == 2
    assert all(time > 0 for time in times)
    assert outputs == 1
    with np.load(tmp_path / "outputs.npz") as file:
        np.testing.assert_allclose(
            file["arr_0"], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()
        )


class Recorder:
    """Stands for paddle.inference.Config: keeps what is asked of it."""

    def __init__(self, *files):
        self.asked = {"files": files}

    def __getattr__(self, name):
        return lambda *values, **named: self.asked.update({name: named or values})


def test_tensorrt_is_asked_for(tmp_path, monkeypatch):
    (tmp_path / "model.pdmodel").touch()
    configs = []
    handle = SimpleNamespace(copy_from_cpu=lambda values: None, copy_to_cpu=lambda: np.ones(3))
    predictor = SimpleNamespace(
        get_input_names=lambda: ["x"], get_output_names=lambda: ["y"], run=lambda: None,
        get_input_handle=lambda name: handle, get_output_handle=lambda name: handle,
    )  # fmt: skip
    fake = SimpleNamespace(
        Config=lambda *files: configs.append(Recorder(*files)) or configs[-1],
        PrecisionType=SimpleNamespace(Float32="float32"),
        create_predictor=lambda config: predictor,
    )
    monkeypatch.setattr(paddle, "inference", fake)
    (output,) = registry.engine("tensorrt").load(tmp_path, random_values(SHAPE), 1, "gpu:1")()
    assert output.tolist() == [1, 1, 1]
    asked = configs[0].asked
    assert asked["enable_use_gpu"][1] == 1
    assert asked["enable_tensorrt_engine"]["max_batch_size"] == 2
    assert asked["enable_tensorrt_engine"]["precision_mode"] == "float32"


def test_tensorrt_takes_no_program_of_paddle_3(tmp_path):
    (tmp_path / "model.json").touch()
    with pytest.raises(EngineError, match=r"take Paddle 2\.6, or"):
        registry.engine("tensorrt").load(tmp_path, random_values(SHAPE), 1, "gpu:0")
