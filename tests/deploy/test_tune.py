"""tune: the fastest form by the timings, remembered, and confirmed on the network."""

import networks as nets
import pytest
from paddle import nn

from spconvify import ArgumentError, convert
from spconvify.deploy import tune
from spconvify.deploy.times_cache import TimesCache
from spconvify.deploy.tune import DENSE, choose_forms
from spconvify.engines import Latency

SHAPE = (1, 3, 16, 16)


class Clock:
    """Stands in for `measure`: each form takes the time that it is given."""

    def __init__(self, monkeypatch, **times):
        self.times, self.calls = times, []
        monkeypatch.setattr(tune, "measure", self)

    def __call__(self, networks, shape, **options):
        self.calls.append((list(networks), tuple(shape), options))
        return {name: Latency.of([self.times.get(name.replace("-", "_"), 2.0)]) for name in networks}

    @property
    def layers(self):
        return [call for call in self.calls if DENSE in call[0]]


@pytest.fixture
def choices(tmp_path):
    return TimesCache(tmp_path / "cache" / "forms.json")


@pytest.fixture
def model():
    return nets.trained(convert(nets.PlainNet(), fusion="sum"))


def test_takes_the_fastest(monkeypatch, model, choices):
    clock = Clock(monkeypatch, original=1.5, **{"pointwise_last+split": 1.0})
    steps = []
    choice = choose_forms(
        model, SHAPE, "eager", choices=choices, progress=lambda *step: steps.append(step)
    )
    assert choice.forms == {"conv1": "pointwise-last+split", "conv2": "pointwise-last+split"}
    assert choice.slower == []
    assert [call[1] for call in clock.layers] == [(1, 4, 16, 16), (1, 4, 8, 8)]
    assert clock.calls[-1][0] == ["default", "chosen"]
    assert [step[2] for step in steps] == [f"timing forms of layer {n} of 2" for n in (1, 2)]


def test_says_where_dense_is_faster(monkeypatch, model, choices):
    Clock(monkeypatch, original=1.5)
    assert choose_forms(model, SHAPE, "eager", choices=choices).slower == ["conv1", "conv2"]


def test_a_small_gain_is_no_reason(monkeypatch, model, choices):
    Clock(monkeypatch, **{"pointwise_last+split": 1.97})
    assert set(choose_forms(model, SHAPE, "eager", choices=choices).forms.values()) == {"pointwise-last"}


def test_the_network_must_confirm(monkeypatch, model, choices):
    Clock(monkeypatch, chosen=3.0, **{"pointwise_last+split": 1.0})
    assert choose_forms(model, SHAPE, "eager", choices=choices).forms == {}
    assert choose_forms(model, SHAPE, "eager", choices=choices, measure_them=False).forms == {}


def test_remembers(monkeypatch, model, choices):
    clock = Clock(monkeypatch, **{"pointwise_last+split": 1.0})
    first = choose_forms(model, SHAPE, "eager", choices=choices)
    number = len(clock.calls)
    again = TimesCache(choices.path)
    assert choose_forms(model, SHAPE, "eager", choices=again).forms == first.forms
    assert choose_forms(model, SHAPE, "eager", choices=again, measure_them=False).forms == first.forms
    assert len(clock.calls) == number
    choose_forms(model, SHAPE, "eager", threads=2, choices=again)
    choose_forms(model, (2, 3, 16, 16), "eager", choices=again)
    assert len(clock.layers) == 6


def test_measures_nothing_unless_asked(monkeypatch, model, choices):
    clock = Clock(monkeypatch)
    choice = choose_forms(model, SHAPE, "eager", choices=choices, measure_them=False)
    assert (choice.forms, choice.slower, clock.calls) == ({}, [], [])
    assert not choices.path.exists()


def test_equal_layers_are_timed_once(monkeypatch, choices):
    convs = [nets.conv() for _ in range(3)]
    model = nets.trained(convert(nn.Sequential(*convs), fusion="gap", input_shape=(1, 8, 8, 8)))
    clock = Clock(monkeypatch)
    assert set(choose_forms(model, (1, 8, 8, 8), "eager", choices=choices).forms) == {"0", "1", "2"}
    assert len(clock.layers) == 1


def test_an_input_that_does_not_fit(model, choices):
    with pytest.raises(ArgumentError, match="doesn't run on an input of 1x4x16x16"):
        choose_forms(model, (1, 4, 16, 16), choices=choices)


def test_measures_for_real(model, choices, monkeypatch):
    monkeypatch.setattr(tune, "_BLOCK_SECONDS", 0.005)
    choice = choose_forms(model, SHAPE, "eager", choices=choices)
    forms = {"original", "pointwise-last", "pointwise-last+split", "three-parts"}
    assert set(choice.times["conv2"]) == {*forms, "dense"}
    assert set(choice.times["conv1"]) == forms
