"""Options that would do nothing in a call, and numbers that can't be meant, are refused at once."""

import os

import pytest
from command_line import one_line_error

from spconvify import convert, save, zoo
from spconvify.cli.idle import RULES

UNTIMED = [["--threads", 2], ["--batch", 8], ["--device", "cpu"], ["--engine", "eager"], ["--tune"]]


@pytest.fixture
def checkpoint(tmp_path):
    return save(zoo.find("resnet20", 10, 1).build(), tmp_path / "model.pdparams")


@pytest.mark.parametrize(
    ("command", "options", "because"),
    [
        *(("convert", options, "without --latency or --only-faster") for options in UNTIMED),
        *(("report", [*options, "--no-latency"], "with --no-latency") for options in UNTIMED),
        ("convert", ["--calibration-count", 9], "without --calibration"),
        ("convert", ["--seed", 1], "without --calibration"),
        ("convert", ["--seed", 0], "without --calibration"),  # the default, but asked for
        ("convert", ["--mean", "0.5"], "no images"),
        ("convert", ["--std", "0.5"], "no images"),
        ("convert", ["--resize", "28"], "no images"),
        ("convert", ["--bgr"], "no images"),
        ("convert", ["--init", "copy", "--calibration-count", 9], "without --calibration"),
        ("convert", ["--format", "json", "--per-layer"], "list every layer anyway"),
        ("convert", ["--format", "csv", "--per-layer"], "list every layer anyway"),
        ("report", ["--no-latency", "--format", "csv", "--per-layer"], "list every layer anyway"),
        ("convert", ["--dry-run", "--plot", "p.png"], "--dry-run writes nothing"),
        ("convert", ["--dry-run", "--force"], "--dry-run writes nothing"),
        ("report", ["--no-latency", "--force"], "nothing is written without --plot"),
    ],
)
def test_refused_and_nothing_written(run, checkpoint, monkeypatch, command, options, because):
    monkeypatch.chdir(checkpoint.parent)
    error = one_line_error(run(command, checkpoint, *options), 2)
    assert "does nothing here: " in error
    assert because in error
    assert error.split()[2] in map(str, options)
    assert os.listdir() == ["model.pdparams"]


@pytest.mark.parametrize(
    "options",
    [
        ["--ratio", 0.25],
        ["--ratio", 0.5],
        ["--groups", 2],
        ["--fusion", "sum"],
        ["--include", "layer1.*"],
        ["--exclude", "layer1.*"],
        ["--ratio-for", "layer1.*=0.25"],
    ],
)
def test_a_converted_checkpoint_is_shown_as_it_is(run, tmp_path, options):
    path = save(convert(zoo.find("resnet20", 10, 1).build()), tmp_path / "sp.pdparams")
    error = one_line_error(run("report", path, "--no-latency", *options), 2)
    assert f"{options[0]} does nothing here: the checkpoint is converted already" in error
    assert run("report", path, "--no-latency")[0] == 0


def test_what_does_something_is_let_through(run, checkpoint, tmp_path):
    assert run("report", checkpoint, "--no-latency", "--ratio", 0.25, "--per-layer")[0] == 0
    options = ("--dry-run", "--out", tmp_path / "new.pdparams", "--per-layer", "--format", "md")
    assert run("convert", checkpoint, *options)[0] == 0


def test_a_dry_run_finds_what_could_not_be_written(run, checkpoint, tmp_path):
    (tmp_path / "old.pdparams").write_text("precious")
    result = run("convert", checkpoint, "--dry-run", "--out", tmp_path / "old.pdparams")
    assert "exists; replace it with --force" in one_line_error(result, 2)


def test_the_table_names_only_options_that_there_are():
    import typer

    from spconvify.cli import app

    commands = typer.main.get_command(app).commands
    for name, rules in RULES.items():
        known = {parameter.name for parameter in commands[name].params}
        for rule in rules:
            assert set(rule.options.split()) <= known


@pytest.mark.parametrize(
    "options",
    [
        ["report", "resnet20", "--threads", "100000"],
        ["report", "resnet20", "--threads", "1,2,1000000000"],
        ["report", "resnet20", "--batch", "10000000"],
        ["report", "resnet20", "--input", "1,3,100000,100000"],
        ["report", "resnet20", "--input", "60000,3,6000,6000"],
        ["convert", "x.pdparams", "--calibration", "x", "--seed", "-1"],
        ["convert", "x.pdparams", "--calibration", "x", "--seed", str(1 << 32)],
        ["convert", "x.pdparams", "--calibration", "x", "--calibration-count", "1000000000000"],
        ["convert", "x.pdparams", "--calibration", "x", "--mean", "nan"],
        ["convert", "x.pdparams", "--calibration", "x", "--std", "inf"],
        ["convert", "x.pdparams", "--calibration", "x", "--resize", "1000000"],
        ["export", "x.pdparams", "--threads", "100000"],
        ["recover", "x.pdparams", "--teacher", "y", "--data", "z", "--seed", str(1 << 70)],
        ["recover", "x.pdparams", "--teacher", "y", "--data", "z", "--seed", "-1"],
        ["recover", "x.pdparams", "--teacher", "y", "--data", "z", "--batch-size", str(1 << 40)],
        ["recover", "x.pdparams", "--teacher", "y", "--data", "z", "--steps", str(1 << 60)],
        ["recover", "x.pdparams", "--teacher", "y", "--data", "z", "--temperature", "1e30"],
        ["recover", "x.pdparams", "--teacher", "y", "--data", "z", "--temperature", "nan"],
    ],
)  # fmt: skip
def test_numbers_beyond_all_use(run, options):
    error = one_line_error(run(*options), 2)
    assert options[-2].strip("-") in error
