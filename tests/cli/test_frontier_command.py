"""`spconvify frontier`, and several ratios in `report`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import one_line_error

from spconvify.cli.plan_file import PlanFolder
from spconvify.errors import SpconvifyError
from spconvify.search import search as searching
from spconvify.workflow import refining

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
PICTURES = EXAMPLES / "fashion_mnist_calibration.npz"
FEW = ("--calibration", PICTURES, "--calibration-count", "16")


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(searching, "TRIES", 0)


@pytest.mark.parametrize("options", [("--engine", "eager,inference"), ("--batch", "1,8")])
def test_several_ratios_have_one_latency_each(run, options):
    result = run("report", "resnet20", "--ratio", "0.5,0.25", *options)
    assert "several ratios has room for one latency" in one_line_error(result, 2)


def test_plans_are_saved_and_can_be_carried_out(run):
    code, text, notes = run(
        "frontier", SHIPPED, *FEW, "--target-macs", "0.6", "--allow", "prune", "--plans", "plans",
        "--format", "json",
    )  # fmt: skip
    assert code == 0, notes
    points = {point["name"]: point for point in json.loads(text)["points"]}
    assert "macs-0.6" in points
    assert os.listdir() == ["plans"]  # nothing of the search is left
    assert sorted(os.listdir("plans")) == sorted(f"{name}.json" for name in points)
    code, text, notes = run(
        "convert",
        SHIPPED,
        *FEW,
        "--plan",
        "plans/macs-0.6.json",
        "--format",
        "json",
        "--out",
        "s.pdparams",
    )
    assert code == 0, notes
    assert json.loads(text)["after"]["macs"] == points["macs-0.6"]["after"]["macs"]
    assert json.loads(text)["agreement"] == points["macs-0.6"]["agreement"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "--calibration FOLDER"),
        ((*FEW, "--target-macs", "0.5,x"), "isn't numbers"),
        ((*FEW, "--target-macs", "40"), "isn't inside (0, 1)"),
        ((*FEW, "--engine", "eager"), "--engine does nothing here"),
        ((*FEW, "--target-macs", "0.5", "--target-speedup", "2"), "--target-macs and --target-speedup"),
        ((*FEW, "--plans", "there"), "exists; replace it with --force"),
        ((*FEW, "--plans", "file"), "is something else"),
        ((*FEW, "--plans", "no/where"), "no/where"),
        ((*FEW, "--exclude", "nowhere.*"), "matches no convolution"),
        ((*FEW, "--plans", "/"), "folder / has no name"),
        ((*FEW, "--plans", "x.png", "--plot", "x.png"), "x.png"),
        ((*FEW, "--target-macs", "0.5,0.5000001"), "alike to six digits"),
        ((*FEW, "--latency", "--engine", "eager,inference"), "has room for one latency"),
        ((*FEW, "--latency", "--threads", "1,2"), "has room for one latency"),
    ],
)
def test_wrong_calls(run, options, said):
    os.mkdir("there")
    Path("there/macs-0.4.json").write_text("mine")
    Path("file").write_text("mine")
    code, out, notes = run("frontier", SHIPPED, *options)  # a note on the images may come before
    assert said in one_line_error((code, out, notes.splitlines(keepends=True)[-1]), 2)
    assert Path("there/macs-0.4.json").read_text() == "mine"
    assert sorted(os.listdir()) == ["file", "there"]


def test_wrong_calls_are_answered_before_paddle_is_loaded():
    """Which is to be set up first: else it is slow, and says what nobody wants to hear."""
    code = "import sys; from spconvify.cli import main\ntry: main()\n"
    code += "finally: assert 'paddle' not in sys.modules"
    options = ("--target-macs", "0.6", "--plans", "/")
    command = [sys.executable, "-c", code, "frontier", str(SHIPPED), *map(str, FEW), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "spconvify: error: folder / has no name; name one in it\n"


def test_what_cannot_be_had_leaves_nothing(run):
    code, _, notes = run("frontier", SHIPPED, *FEW, "--target-macs", "0.01", "--plans", "plans")
    assert code == 1
    assert "can't be had" in notes.splitlines()[-1]
    assert os.listdir() == []


def test_several_ratios_in_one_table(run):
    code, text, notes = run(
        "report", "resnet20", "--input", "1,3,32,32", "--ratio", "0.5,0.25", "--no-latency",
        "--format", "json",
    )  # fmt: skip
    assert code == 0, notes
    points = json.loads(text)["points"]
    assert [point["ratio"] for point in points] == [0.5, 0.25]
    assert points[0]["after"]["macs"] > points[1]["after"]["macs"]
    code, text, notes = run(
        "report", "resnet20", "--input", "1,3,32,32", "--ratio", "0.5,0.25", "--no-latency"
    )
    assert code == 0, notes
    assert "ratio 0.25" in text
    assert "original" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--ratio", "0.5,2"), "2"),
        (("--ratio", "half"), "isn't numbers"),
        (("--ratio", "0.5,0.25", "--per-layer"), "--per-layer shows one network"),
        (("--ratio", "0.5,0.25", "--plot", "p.png"), "--plot shows one network"),
    ],
)
def test_ratios_that_cannot_be(run, options, said):
    assert said in one_line_error(run("report", "resnet20", "--no-latency", *options), 2)


def test_a_plain_conversion_can_be_refined(run, monkeypatch):
    monkeypatch.setattr(refining, "steps_for", lambda macs: 2)
    code, text, notes = run(
        "convert", SHIPPED, *FEW, "--refine", "--out", "s.pdparams", "--format", "json"
    )
    assert code == 0, notes
    assert any("refine" in note for note in json.loads(text)["notes"])


def test_the_table_is_shown_where_plans_cannot_be_written(run, monkeypatch):
    def write(*_):
        raise SpconvifyError("can't make plans: it is there")

    own = PlanFolder.write
    monkeypatch.setattr(PlanFolder, "write", write)
    options = (*FEW, "--target-macs", "0.6", "--allow", "prune", "--plans", "plans")
    code, text, notes = run("frontier", SHIPPED, *options)
    assert code == 1
    assert "can't make plans" in notes.splitlines()[-1]
    assert "macs-0.6" in text
    assert os.listdir() == [".plans.search"]  # the same command is quick now
    monkeypatch.setattr(PlanFolder, "write", own)
    monkeypatch.setattr("spconvify.search.table._Maker.entry", None)  # everything is known
    assert run("frontier", SHIPPED, *options)[0] == 0
    assert os.listdir() == ["plans"]
