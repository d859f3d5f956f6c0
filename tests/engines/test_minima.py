"""Minima of many networks in one process; one that doesn't run takes nobody along."""

import os
import signal
import time

import networks as nets
import pytest
from paddle import nn

from spconvify import ArgumentError, EngineError
from spconvify.engines import children
from spconvify.engines import minima as module
from spconvify.engines.minima import LEAST_ROUNDS, MOST_ROUNDS, SmallNetwork, minima
from spconvify.engines.several import own_milliseconds

SHAPE = (1, 8, 12, 12)


class RaisesWhenRun(nn.Layer):
    def forward(self, x):
        raise ValueError("no way")


class EndsTheProcess(nn.Layer):
    def forward(self, x):
        os.kill(os.getpid(), signal.SIGKILL)


class NoOnnx(nn.Layer):
    """Traced, but the converter has no such operator."""

    def __init__(self):
        super().__init__()
        self.conv = nets.conv()

    def forward(self, x):
        return self.conv(x).erfinv()


def not_there():
    raise EngineError("there is no such layer")


def small(build, shape=SHAPE):
    return SmallNetwork(build, shape)


def conv():
    return small(nets.conv)


@pytest.fixture
def started(monkeypatch):
    """The modules of which processes were started, in order."""
    modules = []
    popen = children._popen

    def counted(module, *others):
        modules.append(module.rpartition(".")[2])
        return popen(module, *others)

    monkeypatch.setattr(children, "_popen", counted)
    return modules


@pytest.mark.parametrize("engine", ["eager", "inference", "openvino", "onnxruntime"])
def test_all_in_one_process(engine, started, usable):
    usable(engine)
    large = small(lambda: nets.conv(64, 64), (1, 64, 48, 48))
    told = []
    found = minima(
        {"small": conv(), "large": large, "other": conv()},
        engine=engine, seconds=0.005, progress=lambda *step: told.append(step),
    )  # fmt: skip
    assert list(found) == ["small", "large", "other"]
    assert found["large"] > 2 * found["small"] > 0
    assert started == [*(["onnx_converter"] if engine == "onnxruntime" else []), "several"]
    assert [total for _, total in told] == [3] * len(told)
    done = [done for done, _ in told]
    assert done == sorted(done)
    assert done[-1] == 3


@pytest.fixture
def usable():
    from spconvify.engines import usable_engines

    def check(engine):
        if engine not in usable_engines("cpu"):
            pytest.skip(f"{engine} isn't here")

    return check


def test_the_others_go_on(started):
    networks = {
        "first": conv(), "raises": small(RaisesWhenRun), "not built": small(not_there),
        "ends": small(EndsTheProcess), "last": conv(),
    }  # fmt: skip
    found = minima(networks, engine="eager", seconds=0.005)
    assert found["first"] > 0
    assert found["last"] > 0
    assert str(found["raises"]) == "running the network 'raises' failed: ValueError: no way"
    assert str(found["not built"]) == "there is no such layer"
    assert "running the network 'ends' failed: " in str(found["ends"])
    assert started == ["several", "several"]


def test_a_process_that_cannot_be_kept_alive(monkeypatch):
    monkeypatch.setattr(module, "_MOST_DEATHS", 1)
    networks = {str(number): small(EndsTheProcess) for number in range(3)}
    with pytest.raises(EngineError, match="network '1' failed: "):
        minima(networks, engine="eager", seconds=0.005)


def test_one_converter_for_all_that_it_can_convert(started, usable):
    usable("onnxruntime")
    found = minima(
        {"first": conv(), "strange": small(NoOnnx), "last": conv()}, engine="onnxruntime", seconds=0.005
    )
    assert found["first"] > 0
    assert found["last"] > 0
    assert "NoOnnx can't be written as ONNX: " in str(found["strange"])
    # All, the strange one by itself, and those behind it.
    assert started == ["onnx_converter"] * 3 + ["several"]


def test_rounds_go_on_until_the_best_three_agree():
    def one(*blocks):
        return module._HandedOver(0, "", None, [], list(blocks))

    assert not one().is_settled
    assert not one(*[1.0] * (LEAST_ROUNDS - 1)).is_settled
    assert one(9.0, 1.01, 5.0, 1.0, 1.02).is_settled
    assert not one(9.0, 1.01, 5.0, 1.0, 1.03).is_settled
    assert one(*range(1, 1 + MOST_ROUNDS)).is_settled


def test_what_others_have_of_the_processor_is_not_counted():
    assert own_milliseconds(lambda: time.sleep(0.05)) < 10

    def busy():
        end = time.process_time() + 0.02
        while time.process_time() < end:
            pass

    assert own_milliseconds(busy) >= 19


def test_refused_before_anything_is_built():
    with pytest.raises(ArgumentError, match="threads 0"):
        minima({"a": small(not_there)}, threads=0)
    with pytest.raises(ArgumentError, match="'onnx' is unknown"):
        minima({"a": small(not_there)}, engine="onnx")
    assert minima({}, engine="eager") == {}
