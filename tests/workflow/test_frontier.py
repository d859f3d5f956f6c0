"""Several budgets in one run: the points, their plans, and how they are shown."""

import json

import numpy as np
import paddle
import pytest
from calibration_networks import images, settled
from paddle import nn

import spconvify
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.report.frontier_table import FRONTIER_FORMATS
from spconvify.search import search as searching
from spconvify.search.table import Table
from spconvify.workflow.budget import budgets_of
from spconvify.zoo.cifar import CifarResNet


@pytest.fixture(autouse=True)
def _no_tries(monkeypatch):
    monkeypatch.setattr(searching, "TRIES", 0)


@pytest.fixture(scope="module")
def batch():
    return images(32, 3, 16)


@pytest.fixture(scope="module")
def model(batch):
    paddle.seed(0)
    return settled(CifarResNet(8), batch)


@pytest.fixture(scope="module")
def found(model, batch):
    tries, searching.TRIES = searching.TRIES, 0
    try:
        return spconvify.frontier(
            model, (0.4, 0.7, 0.001), calibration=[batch], eval_data=(batch, [0] * 32), progress=False
        )
    finally:
        searching.TRIES = tries


def test_every_budget_has_its_points(found, model, batch):
    names = [point.name for point in found.points]
    assert names[0] == "macs-0.7"
    assert {"macs-0.4", "pruned-macs-0.4"} <= {*names}
    assert len(found.missed) == 1
    assert "0.1 % of the MACs can't be had" in found.missed[0]
    before = spconvify.cost(model, (1, 3, 16, 16)).macs
    for point in found.points:
        share = float(point.name.rpartition("-")[2])
        assert point.comparison.before.macs == before
        assert point.comparison.after.macs <= share * before
        assert point.comparison.agreement is not None
    point = next(point for point in found.points if point.name == "macs-0.4")
    again = spconvify.slim(model, plan=point.plan, calibration=[batch], progress=False)
    assert again.comparison.after.macs == point.comparison.after.macs
    assert again.comparison.agreement == point.comparison.agreement


def test_layers_are_looked_at_once(model, batch, monkeypatch):
    made = []
    init = Table.__init__
    monkeypatch.setattr(Table, "__init__", lambda self, *a: (made.append(1), init(self, *a))[1])
    found = spconvify.frontier(model, (0.6, 0.5), calibration=[batch], allow="prune", progress=False)
    assert len(made) == 1
    assert not any("SPConv" in point.how for point in found.points)


def test_what_is_excluded_stays(model, batch):
    found = spconvify.frontier(model, (0.8,), calibration=[batch], exclude="layer3.*", progress=False)
    for point in found.points:
        assert not any(
            name.startswith("layer3") for change in point.plan.changes for name in change.sites
        )


def test_formats(found):
    data = json.loads(FRONTIER_FORMATS["json"](None, found))
    assert [point["name"] for point in data["points"]] == [point.name for point in found.points]
    assert data["missed"] == found.missed
    lines = FRONTIER_FORMATS["csv"](None, found).splitlines()
    assert len(lines) == 1 + len(found.points)
    assert len({line.count(",") for line in lines}) == 1
    markdown = FRONTIER_FORMATS["md"](None, found)
    assert "| macs-0.7, searched |" in markdown
    for text in (markdown, str(found)):
        assert "original" in text
        assert "top-1" in text
        assert "can't be had" in text
    assert max(map(len, str(found).splitlines())) <= 100


def test_a_plot(found, tmp_path):
    pytest.importorskip("matplotlib")
    from spconvify.report.frontier_plot import save_frontier_plot

    save_frontier_plot(found, tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target_macs": ()}, "one budget at least"),
        ({"target_macs": (40,)}, "isn't inside"),
        ({"target_macs": (0.5,), "target_speedup": (2,)}, "give one of"),
        ({"target_speedup": (2,)}, "give the engine"),
        ({"exclude": "nowhere.*"}, "matches no convolution"),
    ],
)
def test_wrong_calls(model, batch, options, said):
    with pytest.raises(ArgumentError, match=said):
        spconvify.frontier(model, calibration=[batch], progress=False, **options)


def test_nothing_that_can_be_had(model, batch):
    with pytest.raises(SpconvifyError, match="can't be had"):
        spconvify.frontier(model, (0.001,), calibration=[batch], progress=False)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ([0.5, "a"], "'a' isn't a number"),
        ([[0.5]], r"\[0.5\] isn't a number"),
        ("0.5", "'0.5' isn't a number"),
        ([0.5, 0.5000001], "two targets are alike to six digits: macs-0.5"),
        ([], "one budget at least"),
    ],
)
def test_wrong_targets(targets, said):
    with pytest.raises(ArgumentError, match=said):
        budgets_of(targets, None)


@pytest.mark.parametrize("target", [0.5, np.float32(0.5), (0.5, 0.5), np.array([0.5])])
def test_one_target(target):
    assert [budget.macs for budget in budgets_of(target, None)] == [0.5]


class Mask(nn.Layer):
    """No value of it is above a half, so that nothing tells how much of a mask is left."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2D(3, 16, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2D(16, 1, 3, padding=1)

    def forward(self, x):
        return nn.functional.sigmoid(self.head(self.body(x)) - 9)


def test_what_nobody_can_tell_is_no_agreement(batch):
    options = {"calibration": [batch], "kinds": "mask", "refine": False, "progress": False}
    found = spconvify.frontier(Mask(), 0.6, **options)
    assert [point.kept for point in found.points] == [None] * len(found.points)
    assert "100.00 %" not in str(found)
    with pytest.raises(SpconvifyError, match=r"nothing tells how much is lost: .*above a half"):
        spconvify.slim(Mask(), max_drop=1.0, **options)
