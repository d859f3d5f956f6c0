"""Budgets on the command line: wrong calls before any work, and the main path."""

import json
import os
from pathlib import Path

import pytest
from command_line import one_line_error

from spconvify import cost, load, save
from spconvify.search import search as searching
from spconvify.surgery.apply import apply_plan
from spconvify.surgery.changes import Narrow
from spconvify.surgery.planning import Plan
from spconvify.zoo.cifar import CifarResNet

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
PICTURES = EXAMPLES / "fashion_mnist_calibration.npz"
IMAGES = ("--calibration", "images.npz")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--target-macs", "0.4"), "--calibration FOLDER"),
        ((*IMAGES, "--target-macs", "40"), "isn't inside (0, 1)"),
        ((*IMAGES, "--target-macs", "0.4", "--ratio", "0.5"), "--ratio does nothing here"),
        ((*IMAGES, "--target-macs", "0.4", "--max-drop", "1"), "--target-macs and --max-drop"),
        ((*IMAGES, "--target-macs", "0.4", "--engine", "eager"), "--engine does nothing here"),
        ((*IMAGES, "--target-macs", "0.4", "--allow", "all"), "'all' is unknown"),
        ((*IMAGES, "--allow", "prune"), "--allow goes with a budget"),
        (("--refine",), "--refine does nothing here: nothing is fitted without --calibration"),
        ((*IMAGES, "--target-macs", "0.4", "--plan", "p.json"), "leave out it or the budget"),
        ((*IMAGES, "--target-speedup", "2", "--only-faster"), "--only-faster is what"),
        ((*IMAGES, "--target-macs", "0.4", "--init", "copy"), "--init copy"),
    ],
)
def test_wrong_calls(run, tmp_path, network, monkeypatch, options, said):
    (tmp_path / "net.pdparams").write_bytes(network)
    monkeypatch.chdir(tmp_path)
    assert said in one_line_error(run("convert", "net.pdparams", *options), 2)
    assert os.listdir() == ["net.pdparams"]


def test_a_network_within_a_budget(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(searching, "TRIES", 0)
    images = ("--calibration", PICTURES, "--calibration-count", "16", "--format", "json")
    budget = ("--target-macs", "0.6", "--allow", "prune", "--no-refine")
    options = (*budget, "--save-plan", "plan.json")
    code, text, notes = run("convert", SHIPPED, *images, *options, "--out", "slim.pdparams")
    assert code == 0, notes
    data = json.loads(text)
    assert data["after"]["macs"] < 0.61 * data["before"]["macs"]
    assert sorted(os.listdir()) == ["plan.json", "slim.pdparams"]  # nothing of the search is left
    code, text, notes = run(
        "convert", SHIPPED, *images, "--plan", "plan.json", "--out", "again.pdparams"
    )
    assert code == 0, notes
    assert Path("slim.pdparams").read_bytes() == Path("again.pdparams").read_bytes()
    assert load("slim.pdparams").layer1[0].conv1 is not None
    code, text, notes = run(
        "report", "slim.pdparams", "--no-latency", "--format", "json", "--input", "1,1,28,28"
    )
    assert code == 0, notes
    assert json.loads(text)["after"]["macs"] == data["after"]["macs"]


def test_a_report_of_a_narrowed_network_says_so(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = Plan([Narrow("layer1.0.conv1", "layer1.0.conv2", tuple(range(10)), ("layer1.0.bn1",))])
    save(apply_plan(load(SHIPPED), plan, input_shape=(1, 1, 28, 28)), "narrow.pdparams")
    code, text, notes = run("report", "narrow.pdparams", "--no-latency", "--per-layer")
    assert code == 0, notes
    assert "0 of 21 convolutions converted, 2 narrowed" in text
    assert "16 → 10 channels" in text
    assert "10 → 16 channels" in text


def test_a_narrowed_network_of_ones_own_has_an_original(run, tmp_path, monkeypatch):
    """Nothing is replaced in it: only the architecture tells that it had more channels."""
    monkeypatch.chdir(tmp_path)
    Path("own_nets.py").write_text(
        "from spconvify.zoo.cifar import CifarResNet\n\n"
        "def build():\n    return CifarResNet(8, in_channels=1)\n"
    )
    network = CifarResNet(8, in_channels=1)
    plan = Plan([Narrow("layer1.0.conv1", "layer1.0.conv2", tuple(range(10)), ("layer1.0.bn1",))])
    save(apply_plan(network, plan, input_shape=(1, 1, 28, 28)), "narrow.pdparams")
    save(network, "whole.pdparams")
    options = ("--arch", "own_nets:build", "--input", "1,1,28,28", "--no-latency", "--format", "json")
    code, text, notes = run("report", "narrow.pdparams", *options)
    assert code == 0, notes
    data = json.loads(text)
    assert data["before"]["macs"] == cost(network, (1, 1, 28, 28)).macs
    assert data["after"]["macs"] < data["before"]["macs"]
    assert not any(site["eligible"] for site in data["sites"])
    data = json.loads(run("report", "whole.pdparams", *options)[1])
    assert sum(site["eligible"] for site in data["sites"]) == 6
    options = ("--teacher", "whole.pdparams", "--arch", "own_nets:build", "--data", PICTURES)
    more = ("--steps", "1", "--batch-size", "4", "--out", "r.pdparams", "--input", "1,1,28,28")
    code, _, notes = run("recover", "narrow.pdparams", *options, *more)
    assert code == 0, notes
    more = (*more, "--force")
    assert "isn't converted" in one_line_error(run("recover", "whole.pdparams", *options, *more), 2)


def test_what_cannot_be_had_writes_nothing(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(searching, "TRIES", 0)
    images = ("--calibration", PICTURES, "--calibration-count", "8", "--quiet")
    result = run("convert", SHIPPED, *images, "--target-macs", "0.01", "--out", "slim.pdparams")
    assert "can't be had" in result[2].splitlines()[-1]
    assert result[0] == 1
    assert os.listdir() == []
