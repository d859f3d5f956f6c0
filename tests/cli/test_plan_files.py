"""--save-plan and --plan: what was converted can be read, changed, and carried out again."""

import json
import os
from pathlib import Path

import pytest
from command_line import one_line_error

from spconvify import load
from spconvify.surgery.planning import Plan, plan_of


@pytest.fixture
def folder(tmp_path, network, monkeypatch):
    (tmp_path / "net.pdparams").write_bytes(network)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def done(result):
    assert result[0] == 0, result[2]
    return result[1]


SAVE = ("convert", "net.pdparams", "--quiet", "--format", "json")
OPTIONS = ("--include", "layer3.*", "--ratio-for", "layer3.2.*=0.25", "--fusion", "gap")


def test_a_plan_gives_the_same_network_again(run, folder):
    done(run(*SAVE, *OPTIONS, "--out", "one.pdparams", "--save-plan", "plan.json"))
    plan = Plan.from_json(Path("plan.json").read_text())
    assert list(plan.sites) == [name for name in plan.sites if name.startswith("layer3.")]
    assert plan.sites["layer3.2.conv1"].ratio == 0.25
    done(run(*SAVE, "--plan", "plan.json", "--out", "two.pdparams"))
    assert Path("one.pdparams").read_bytes() == Path("two.pdparams").read_bytes()
    options = ("--plan", "plan.json", "--no-latency", "--format", "json")
    report = json.loads(done(run("report", "net.pdparams", *options)))
    converted = {site["name"]: site["effective_ratio"] for site in report["sites"] if site["eligible"]}
    assert converted["layer3.2.conv1"] == 0.25


def test_a_plan_that_was_changed(run, folder):
    done(run(*SAVE, "--dry-run", "--save-plan", "plan.json"))
    assert sorted(os.listdir()) == ["net.pdparams", "plan.json"]
    data = json.loads(Path("plan.json").read_text())
    assert data["changes"][0]["site"] == "layer1.0.conv1"
    data["changes"] = [{**data["changes"][0], "ratio": 0.75}]
    Path("plan.json").write_text(json.dumps(data))
    done(run(*SAVE, "--plan", "plan.json", "--out", "o.pdparams"))
    assert {name: how.ratio for name, how in plan_of(load("o.pdparams")).sites.items()} == {
        "layer1.0.conv1": 0.75
    }


def test_a_plan_from_a_windows_editor(run, folder):
    done(run(*SAVE, "--dry-run", "--save-plan", "plan.json"))
    Path("plan.json").write_text(Path("plan.json").read_text(), "utf-8-sig")
    done(run(*SAVE, "--plan", "plan.json", "--dry-run"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: {**data, "changes": [{**data["changes"][0], "site": "layer9.conv"}]},
            "layer9.conv",
        ),
        (lambda data: {**data, "changes": [{**data["changes"][0], "ratio": 7}]}, "ratio 7"),
        (lambda data: {**data, "changes": [{**data["changes"][0], "change": "x"}]}, "change 'x'"),
        (lambda data: {**data, "changes": [{**data["changes"][0], "operator": "x"}]}, "operator 'x'"),
        (lambda data: {**data, "changes": [{**data["changes"][0], "site": 3}]}, "isn't a plan"),
        (lambda data: {**data, "changes": [{**data["changes"][0], "depth": 3}]}, "isn't a plan"),
        (lambda data: {**data, "changes": []}, "plan.json: it has no changes"),
        (lambda data: {"format": "other"}, "plan format 'other' is unknown"),
        (lambda data: [], "isn't a plan"),
    ],
)
def test_a_plan_that_doesnt_fit(run, folder, change, message):
    done(run(*SAVE, "--dry-run", "--save-plan", "plan.json"))
    Path("plan.json").write_text(json.dumps(change(json.loads(Path("plan.json").read_text()))))
    result = run(*SAVE, "--plan", "plan.json", "--out", "o.pdparams")
    error = one_line_error(result, result[0])
    assert result[0] in (1, 2)
    assert message in error
    assert not Path("o.pdparams").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plan", "gone.json"], "plan gone.json can't be read"),
        (["--plan", "net.pdparams"], "plan net.pdparams"),
        (["--plan", "fifo"], "plan fifo can't be read: fifo isn't a regular file"),
        (["--plan", "folder"], "plan folder can't be read: folder is a folder, not a file"),
        (["--plan", "utf16.json"], "plan utf16.json isn't text in UTF-8"),
        (["--plan", "deep.json"], "plan deep.json: this isn't a plan"),
        (["--plan", "large.json"], "plan large.json has more than 16 MiB"),
        (["--plan", "plan.json", "--ratio", 0.25], "--ratio does nothing here: --plan says"),
        (["--save-plan", "plan.json"], "plan plan.json exists; replace it with --force"),
        (["--save-plan", "net.pdparams", "--force"], "is the same file as the checkpoint"),
        (["--save-plan", "o.pdparams", "--force"], "is the same file as --out"),
        (["--plan", "plan.json", "--save-plan", "plan.json", "--force"], "is the same file as --plan"),
        (["--save-plan", "new/"], "names a folder"),
        (["--save-plan", "no/where.json"], "doesn't exist"),
    ],
)
def test_wrong_calls(run, folder, options, message):
    Path("plan.json").write_text("precious")
    os.mkfifo("fifo")
    Path("folder").mkdir()
    Path("utf16.json").write_text("{}", "utf-16")
    Path("deep.json").write_text("[" * 200_000)
    Path("large.json").write_text(" " * ((16 << 20) + 1))
    assert message in one_line_error(run(*SAVE, "--out", "o.pdparams", *options), 2)
    assert Path("plan.json").read_text() == "precious"
    assert not Path("o.pdparams").exists()


def test_a_plan_that_fails_takes_nothing_away(run, folder, monkeypatch):
    """The network is saved by then, and the table was minutes of work."""
    from spconvify.cli import plan_file

    write = plan_file.PlanOutput.write

    def late(output, plan):
        output.place.write_text("precious")
        write(output, plan)

    monkeypatch.setattr(plan_file.PlanOutput, "write", late)
    code, out, notes = run("convert", "net.pdparams", "--out", "o.pdparams", "--save-plan", "plan.json")
    assert code == 1
    assert "resnet20" in out
    lines = [line for line in notes.splitlines() if line]
    assert "saved o.pdparams" in lines
    assert lines[-1].startswith("spconvify: error: plan plan.json exists and is as it was")
    assert Path("plan.json").read_text() == "precious"
    load("o.pdparams")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "dry run: nothing was written"),
        (["--save-plan", "p.json"], "dry run: no checkpoint was written, only p.json"),
    ],
)
def test_a_dry_run_says_what_it_wrote(run, folder, more, said):
    code, _, notes = run("convert", "net.pdparams", "--dry-run", *more)
    assert code == 0
    assert notes.splitlines()[-1] == said
    assert sorted(os.listdir()) == ["net.pdparams", *more[1:]]
