"""A budget from Python: met, repeatable, going on where it was killed, and refused where it can't be."""

import numpy as np
import pytest

import spconvify
from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.network.inputs import Inputs
from spconvify.search import search as searching
from spconvify.search.costs import MacCosts
from spconvify.search.journal import Journal
from spconvify.search.judge import Judge
from spconvify.search.quick_fits import QuickFits
from spconvify.search.refinement import refine
from spconvify.search.search import Search
from spconvify.search.structure import Structure
from spconvify.surgery.planning import Plan
from spconvify.workflow.budget import Budget

SHAPE = (1, 3, 16, 16)


@pytest.fixture(autouse=True)
def _few_tries(monkeypatch):
    monkeypatch.setattr(searching, "TRIES", 2)


def test_a_share_of_the_macs(model, batch):
    before = {key: value.numpy() for key, value in model.state_dict().items()}
    slimmed = spconvify.slim(model, calibration=[batch], target_macs=0.5, refine=False, progress=False)
    comparison = slimmed.comparison
    assert comparison.after.macs <= 0.5 * comparison.before.macs
    assert comparison.after.macs >= 0.45 * comparison.before.macs
    assert comparison.agreement is not None
    assert any("chosen among" in note for note in comparison.notes)
    assert all(np.array_equal(value.numpy(), before[key]) for key, value in model.state_dict().items())
    again = spconvify.convert(
        model, plan=Plan.from_json(slimmed.plan.to_json()), init="lstsq", calibration=[batch]
    )
    for key, value in slimmed.network.state_dict().items():
        assert np.array_equal(value.numpy(), again.state_dict()[key].numpy()), key


@pytest.mark.parametrize("allow", ["prune", "spconv"])
def test_only_what_is_allowed(model, batch, allow):
    slimmed = spconvify.slim(
        model, calibration=[batch], target_macs=0.6, allow=allow, refine=False, progress=False
    )
    kinds = {change.kind for change in slimmed.plan.changes} - {"refit"}
    assert kinds == {{"prune": "narrow", "spconv": "replace"}[allow]}


def test_what_cannot_be_had_is_said_with_what_can(model, batch):
    with pytest.raises(SpconvifyError, match=r"1 % of the MACs can.t be had: [\d.]+ % are left"):
        spconvify.slim(model, calibration=[batch], target_macs=0.01, progress=False)


def test_points_that_may_be_lost(model, batch):
    slimmed = spconvify.slim(
        model, calibration=[batch], max_drop=30.0, allow="prune", refine=False, progress=False
    )
    assert slimmed.comparison.after.macs < slimmed.comparison.before.macs
    assert slimmed.comparison.agreement.points_lost <= 30.0


def test_a_killed_search_goes_on(model, batch, tmp_path, monkeypatch):
    images_to_fit = CalibrationImages([batch]).split(0)[0]
    structure = Structure.of(model, Inputs.of(SHAPE), spconv=False)
    macs = spconvify.cost(model, SHAPE).macs

    def search(journal):
        found = Search(model, structure, images_to_fit, journal=journal, macs=macs)
        return found.best(MacCosts(structure, macs), 0.5 * macs)

    path = tmp_path / ".net.search"
    wanted = search(Journal())
    fitted, killed = QuickFits._fitted, []

    def fails_late(self, plan, fold):
        killed.append(plan)
        if len(killed) == 3:
            raise KeyboardInterrupt
        return fitted(self, plan, fold)

    monkeypatch.setattr(QuickFits, "_fitted", fails_late)
    journal = Journal(path, "this")
    with pytest.raises(KeyboardInterrupt):
        search(journal)
    journal.close()  # as the end of its process would
    with open(path, "a") as file:
        file.write('["distance cut off')
    journal = Journal(path, "this")
    assert journal.found == len(structure.slots) + 2
    assert search(journal) == wanted
    journal.finish()
    assert not path.exists()


def test_a_refinement_comes_nearer_and_leaves_the_original_alone(model, batch):
    to_fit, left_out = CalibrationImages([batch]).split(0)
    new = spconvify.convert(model, 0.25, init="lstsq", calibration=to_fit)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    judge = Judge(model, left_out)
    before, after = refine(model, new, to_fit, judge, steps=30)
    assert after < before
    assert judge.distance(new) == pytest.approx(after)
    assert all(np.array_equal(value.numpy(), state[key]) for key, value in model.state_dict().items())


def test_a_refinement_that_brings_nothing_is_taken_back(model, batch):
    to_fit, left_out = CalibrationImages([batch]).split(0)
    new = spconvify.convert(model, 0.5, init="lstsq", calibration=to_fit)
    state = {key: value.numpy() for key, value in new.state_dict().items()}

    class Unmoved(Judge):
        seen = 0

        def distance(self, network):
            self.seen += 1
            return float(self.seen)  # ever farther off

    before, after = refine(model, new, to_fit, Unmoved(model, left_out), steps=2)
    assert before == after == 1.0
    assert all(np.array_equal(value.numpy(), state[key]) for key, value in new.state_dict().items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_macs": 1.2}, "isn't inside"),
        ({"target_macs": "half"}, "isn't a number"),
        ({"target_macs": float("nan")}, "isn't a number"),
        ({"target_speedup": 0.5, "engine": "eager"}, "isn't above 1"),
        ({"target_speedup": 2}, "give the engine"),
        ({"max_drop": 0}, "isn't inside"),
        ({"target_macs": 0.5, "max_drop": 1}, "give one of"),
        ({"target_macs": 0.5, "allow": "magic"}, "'magic' is unknown"),
        ({"target_macs": 0.5, "allow": []}, "is empty"),
        ({"target_macs": 0.5, "init": "copy"}, "init 'copy' doesn't"),
        ({"target_macs": 0.5, "plan": Plan()}, "leave out it or the budget"),
        ({"target_macs": 0.5, "include": "nowhere.*"}, "matches no convolution"),
        ({"target_macs": 0.5, "ratios": {"layer1.*": 0.5}}, "ratios does nothing here"),
        ({"target_speedup": 2, "only_faster": True, "engine": "eager"}, "only_faster does nothing"),
        ({"allow": "prune"}, "goes with a budget"),
    ],
)
def test_wrong_calls(model, batch, options, said):
    with pytest.raises(ArgumentError, match=said):
        spconvify.slim(model, calibration=[batch], **options)


def test_a_budget_needs_images(model, batch):
    with pytest.raises(ArgumentError, match="give calibration="):
        spconvify.slim(model, input_shape=SHAPE, target_macs=0.5)
    with pytest.raises(ArgumentError, match="4 calibration images at least"):
        spconvify.slim(model, calibration=[batch[:3]], target_macs=0.5)


def test_no_budget_is_none():
    assert Budget.of() is None
