"""Timing: both engines really run, workers take turns and end, and nothing is claimed from noise."""

import os
import subprocess
import sys
import tempfile
import time

import networks as nets
import numpy as np
import paddle
import pytest

from spconvify import ArgumentError, EngineError, convert
from spconvify.engines import Latency, check_engine, describe, measure, speedup
from spconvify.engines import measure as measure_function
from spconvify.engines.eager import load as load_eager
from spconvify.engines.eager import write as write_eager
from spconvify.engines.inference import load as load_inference
from spconvify.engines.inference import write as write_inference
from spconvify.engines.measure import ROUNDS, _take_turns
from spconvify.engines.process import Worker

SHAPE = (2, 3, 16, 16)


def job(folder, engine):
    return {
        "engine": engine,
        "folder": str(folder),
        "input_shape": list(SHAPE),
        "threads": 1,
        "device": "cpu",
    }


@pytest.mark.parametrize("engine", ["eager", "inference"])
def test_measures_in_fresh_processes(engine, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    model = nets.PlainNet()
    model.train()
    done = []
    result = measure(
        {"before": model, "after": convert(model)},
        SHAPE,
        engine=engine,
        seconds=0.02,
        progress=lambda *step: done.append(step),
    )
    for latency in result.values():
        assert 0 < latency.p10 <= latency.median <= latency.p90 < 1000
        assert latency.runs >= 3 * ROUNDS
    assert done == [(turn + 1, ROUNDS) for turn in range(ROUNDS)]
    assert model.training
    assert model.bn.training
    assert "forward" not in vars(model)
    assert os.listdir(tmp_path) == []


def test_workers_take_turns():
    log = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def warm_up(self, seconds):
            return 4

        def run(self, runs):
            log.append(self.name)
            return [1.0] * runs

    result = _take_turns({"a": Fake("a"), "b": Fake("b")}, 0.1, None)
    assert log == ["a", "b"] * ROUNDS
    assert result["a"] == Latency(1.0, 1.0, 1.0, 4 * ROUNDS)


def test_a_worker_that_fails_says_why(tmp_path):
    with Worker(job(tmp_path, "eager"), "before") as worker:
        with pytest.raises(EngineError, match="timing the network 'before' failed: FileNotFoundError"):
            worker.warm_up(0.01)
    assert worker._process.poll() is not None


def test_workers_end_with_an_exception(tmp_path):
    write_eager(nets.PlainNet(), tmp_path, SHAPE)
    with pytest.raises(KeyboardInterrupt), Worker(job(tmp_path, "eager"), "x") as worker:
        raise KeyboardInterrupt
    time.sleep(0.05)
    assert worker._process.poll() is not None


@pytest.mark.parametrize(
    ("write", "load", "engine"),
    [(write_eager, load_eager, "eager"), (write_inference, load_inference, "inference")],
)
def test_the_worker_runs_the_network_it_was_given(tmp_path, write, load, engine, monkeypatch):
    model = convert(nets.trained(nets.PlainNet()))
    write(model, tmp_path, SHAPE)
    values = np.random.default_rng(0).standard_normal(SHAPE, dtype="float32")
    seen = []
    if engine == "eager":
        call = paddle.nn.Layer.__call__
        monkeypatch.setattr(
            paddle.nn.Layer, "__call__", lambda self, *a: seen.append(call(self, *a)) or seen[-1]
        )
        load(job(tmp_path, engine), values)()
        output = seen[-1].numpy()
        monkeypatch.undo()
        np.testing.assert_allclose(output, model(paddle.to_tensor(values)).numpy(), rtol=1e-5, atol=1e-5)
    else:
        code = (
            "import zlib, json, sys, numpy as np\n"
            "from paddle.inference import Predictor\n"
            "from spconvify.engines import inference as e\n"
            "import paddle.inference as i\n"
            "made = i.create_predictor\n"
            "keep = []\n"
            "i.create_predictor = lambda c: keep.append(made(c)) or keep[-1]\n"
            f"e.load({job(tmp_path, engine)!r}, np.load({str(tmp_path / 'x.npy')!r}))()\n"
            "p = keep[0]\n"
            f"np.save({str(tmp_path / 'y.npy')!r}, "
            "p.get_output_handle(p.get_output_names()[0]).copy_to_cpu())\n"
        )
        np.save(tmp_path / "x.npy", values)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        expected = model(paddle.to_tensor(values)).numpy()
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-4, atol=1e-4)


def test_pickling_keeps_sharing(tmp_path):
    write_eager(nets.SharedConvNet(), tmp_path, SHAPE)
    import pickle

    with open(tmp_path / "network.pickle", "rb") as file:
        model = pickle.load(file)
    assert model.first is model.second
    assert model.first is model.block[0]
    assert model.first.weight is model.second.weight


def test_what_cannot_be_handed_over_names_the_other_engine(tmp_path):
    with pytest.raises(EngineError, match="try --engine inference"):
        write_eager(nets.HiddenAlias(), tmp_path, SHAPE)

    class Untraceable(paddle.nn.Layer):
        def forward(self, x):
            raise RuntimeError("no way")

    with pytest.raises(EngineError, match=r"Untraceable can't be traced.*try --engine eager"):
        write_inference(Untraceable(), tmp_path, SHAPE)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [((10, 9, 11), (5, 4, 6), 2.0), ((5, 4, 6), (10, 9, 11), 0.5), ((10, 8, 12), (7, 5, 8), None),
     ((10, 8, 12), (9.9, 9.8, 10), None)],
)  # fmt: skip
def test_overlapping_intervals_claim_nothing(before, after, expected):
    assert speedup(Latency(*before, 10), Latency(*after, 10)) == expected
    assert Latency.of(range(101)) == Latency(50, 10, 90, 101)


def test_unknown_engine_and_device():
    with pytest.raises(ArgumentError, match="did you mean 'inference'"):
        check_engine("inferense")
    with pytest.raises(ArgumentError, match="device 'cuda' is unknown; use cpu or gpu:0"):
        check_engine("eager", "cuda")
    if not paddle.is_compiled_with_cuda():
        with pytest.raises(EngineError, match="this Paddle is built for the CPU"):
            measure_function({}, SHAPE, device="gpu:0")
    assert describe("eager")["version"] == paddle.__version__
