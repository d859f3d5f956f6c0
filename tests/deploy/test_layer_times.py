"""Times of layers: their own, measured once, and remembered."""

import math

import networks as nets
import pytest
from paddle import nn

from spconvify import EngineError
from spconvify.deploy import layer_times as module
from spconvify.deploy.layer_times import LayerShape, LayerTimes
from spconvify.deploy.times_cache import TimesCache
from spconvify.operators.spconv.settings import SPConvSettings

HALF = SPConvSettings(0.5, 2, "sum")
LAYER = LayerShape.of(nets.conv(16, 16), (1, 16, 8, 8))
STRIDED = LayerShape.of(nets.conv(16, 32, stride=2), (1, 16, 8, 8))
REPEATS = LAYER.ends.repeats


class Clock:
    """Stands for `minima`: surroundings take what their channels say, layers that and their own."""

    def __init__(self, monkeypatch):
        self.calls, self.failing, self.own = [], (), 6.0
        monkeypatch.setattr(module, "minima", self)

    def __call__(self, networks, *, engine, threads, device, progress):
        self.calls.append(list(networks))
        progress(len(networks), len(networks))
        return {name: self.time(name) for name in networks}

    def time(self, name):
        if any(text in name for text in self.failing):
            return EngineError(f"{name} failed")
        if "surroundings" in name:
            return int(name.split("x")[1]) / 10
        return self.own


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def cache(tmp_path):
    return TimesCache(tmp_path / "forms.json")


def test_without_the_time_of_the_surroundings(clock, cache):
    times = LayerTimes("eager", cache=cache)
    times.measure([LAYER, STRIDED, LAYER])
    assert times[LAYER] == pytest.approx((6 - 1.6) / REPEATS)
    assert times[STRIDED] == pytest.approx(6 - (1.6 + 3.2) / 2)
    assert len(clock.calls[0]) == len(set(clock.calls[0])) == 5
    clock.own = 0.1  # less than its surroundings
    times.measure([tiny := LAYER.narrowed(4, 4)])
    assert 0 < times[tiny] < 0.1


def test_measures_nothing_twice(clock, cache):
    steps = []
    LayerTimes("eager", cache=cache).measure([LAYER], lambda *step: steps.append(step))
    assert steps == [(2, 2, "timing layers in eager")]
    again = LayerTimes("eager", cache=TimesCache(cache.path))
    assert LAYER not in again
    with pytest.raises(KeyError):
        again[LAYER]
    again.measure([LAYER])
    assert LAYER in again
    assert again[LAYER] == pytest.approx((6 - 1.6) / REPEATS)
    assert len(clock.calls) == 1
    again.measure([LAYER, STRIDED])
    assert [("surroundings" in name, "32" in name) for name in clock.calls[1]] == [
        (False, True), (True, False), (True, True),
    ]  # fmt: skip
    LayerTimes("eager", threads=2, cache=cache).measure([LAYER])
    assert len(clock.calls) == 3


def test_form_times_are_something_else(clock, cache):
    """What the cache knows of the forms of a layer is no minimum."""
    times = LayerTimes("eager", cache=cache)
    times.measure([LAYER])
    keys = [f"{times._prefix}, {name}" for name in clock.calls[0]]
    cache.remember({key: {"pointwise-last": 1.0} for key in keys}, {})
    LayerTimes("eager", cache=cache).measure([LAYER])
    assert len(clock.calls) == 2


def test_groups_are_remembered_one_by_one(clock, cache, monkeypatch):
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    shapes = [LAYER.narrowed(16, n) for n in (4, 8, 12)]

    def interrupt(done, total, text):
        if done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LayerTimes("eager", cache=cache).measure(shapes, interrupt)
    first = clock.calls[0]
    LayerTimes("eager", cache=TimesCache(cache.path)).measure(shapes)
    assert len(first) == 2
    assert not {*first} & {name for call in clock.calls[2:] for name in call}


def test_large_networks_are_not_in_memory_at_once(clock, cache):
    large = [LayerShape.of(nn.Conv2D(n, n, 1), (16, n, 500, 500)) for n in (64, 65)]
    LayerTimes("eager", cache=cache).measure([*large, LAYER])
    assert [len(call) for call in clock.calls][:2] == [1, 1]


def test_what_cannot_be_run(clock, cache):
    clock.failing = ["SPConvSettings"]
    times = LayerTimes("eager", cache=cache)
    times.measure([LAYER, half := LayerShape.of(nets.conv(16, 16), (1, 16, 8, 8), HALF)])
    assert times[half] == math.inf
    assert "failed" in times.problems[half]
    assert times.estimate(half.narrowed(8, 8)) == math.inf
    assert list(times.problems) == [half]
    with pytest.raises(EngineError, match="failed"):
        times.measure([half])
    clock.failing = []
    times.measure([half])
    assert times[half] < math.inf
    assert times.problems == {}
    clock.failing = ["surroundings"]
    with pytest.raises(EngineError, match="failed"):
        times.measure([LAYER.narrowed(8, 8)])


def test_estimates(clock, cache):
    times = LayerTimes("eager", cache=cache)
    times.measure([LAYER.narrowed(16, n) for n in (4, 8)])
    four, eight = (times[LAYER.narrowed(16, n)] for n in (4, 8))
    assert times.estimate(LAYER.narrowed(16, 4)) == four
    assert times.estimate(LAYER.narrowed(16, 6)) == pytest.approx((four + eight) / 2)
    for other in (STRIDED, LayerShape.of(nets.conv(16, 16), (1, 16, 8, 8), HALF)):
        with pytest.raises(KeyError):
            times.estimate(other.narrowed(16, 6))


def test_depthwise_layers_have_one_width(clock, cache):
    times = LayerTimes("eager", cache=cache)
    depthwise = LayerShape.of(nets.conv(16, 16, groups=16), (1, 16, 8, 8))
    times.measure([depthwise, depthwise.narrowed(8, 8)])
    middle = (times[depthwise] + times[depthwise.narrowed(8, 8)]) / 2
    assert times.estimate(depthwise.narrowed(12, 12)) == pytest.approx(middle)
    with pytest.raises(KeyError):
        times.estimate(LAYER)


def test_refuses_an_engine_that_is_not_there():
    with pytest.raises(EngineError, match=r"runs on the CPU|needs Paddle 3 for the CPU"):
        LayerTimes("openvino", device="gpu:0")


def test_measures_for_real(cache):
    wide = LayerShape.of(nets.conv(64, 64), (1, 64, 28, 28))
    half = LayerShape.of(nets.conv(64, 64), (1, 64, 28, 28), HALF)
    odd = half.narrowed(64, 63)
    times = LayerTimes("inference", cache=cache)
    times.measure([wide, half, wide.narrowed(64, 16), odd])
    assert 0 < times[half] < math.inf
    assert 0 < times[wide] < math.inf
    assert 0 < times.estimate(wide.narrowed(64, 40)) < math.inf
    assert times[odd] == math.inf
    assert "63 output channels can't be split" in times.problems[odd]
