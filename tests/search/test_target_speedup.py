"""A budget as a speed-up, in an engine whose times are known: some for every MAC, some for the start."""

import pytest

import spconvify
from spconvify.errors import SpconvifyError
from spconvify.search import search as searching
from spconvify.search.costs import MacCosts
from spconvify.workflow import main_line
from spconvify.workflow.whole_times import WholeTimer

SHAPE = (1, 3, 16, 16)


class Engine:
    """Layers take a nanosecond a MAC; whole networks `share` of that, and `start` ns."""

    def __init__(self, monkeypatch, share=1.0, start=0.0):
        self.share, self.start, self.timed = share, start, 0
        monkeypatch.setattr(searching, "TRIES", 0)
        monkeypatch.setattr(WholeTimer, "costs", self.of_layers)
        monkeypatch.setattr(WholeTimer, "_measured", lambda _, networks: self.of_networks(networks))
        monkeypatch.setattr(main_line, "add_timings", lambda *_: None)

    @staticmethod
    def of_layers(timer, structure):
        return MacCosts(structure, spconvify.cost(timer._model, SHAPE).macs)

    def of_networks(self, networks):
        self.timed += 1
        return {name: self.of_network(network) for name, network in networks.items()}

    def of_network(self, network):
        return self.start + spconvify.cost(network, SHAPE).macs * self.share


def slim(model, batch, target, **more):
    return spconvify.slim(
        model, calibration=[batch], target_speedup=target, engine="eager", refine=False, progress=False,
        **more,
    )  # fmt: skip


@pytest.mark.parametrize(("share", "start"), [(1.0, 0.0), (1.3, 0.0), (1.0, 4e5)])
def test_it_is_met_by_whole_networks(model, batch, monkeypatch, share, start):
    """The layers' times alone are off by up to a third here."""
    engine = Engine(monkeypatch, share, start)
    slimmed = slim(model, batch, 1.6)
    reached = engine.of_network(model) / engine.of_network(slimmed.network)
    assert reached == pytest.approx(1.6, rel=0.05)
    (note,) = [note for note in slimmed.comparison.notes if "times as fast" in note]
    assert f"{reached:.2f} times as fast" in note
    assert "1.6 wanted" in note
    assert engine.timed <= 5 + 2 * 3


def test_what_the_fastest_choice_reaches_is_said(model, batch, monkeypatch):
    engine = Engine(monkeypatch, start=1e6)
    with pytest.raises(SpconvifyError, match=r"20 times as fast can't be had in ") as error:
        slim(model, batch, 20)
    said = float(str(error.value).rpartition("makes it ")[2].split()[0])
    assert 1 < said < engine.of_network(model) / 1e6


def test_nothing_faster_is_no_success(model, batch, monkeypatch):
    engine = Engine(monkeypatch)
    engine.of_network = lambda _: 1.0
    with pytest.raises(SpconvifyError, match=r"can't be had|nothing that was found"):
        slim(model, batch, 1.2)


def test_a_drop_can_be_bounded_in_an_engine(model, batch, monkeypatch):
    engine = Engine(monkeypatch)
    slimmed = spconvify.slim(
        model, calibration=[batch], max_drop=40, engine="eager", refine=False, progress=False
    )
    assert engine.of_network(slimmed.network) < engine.of_network(model)
    assert any("points lost before refining (40 allowed)" in note for note in slimmed.comparison.notes)
