"""What a command writes is never what it reads, and is found out before it works for minutes."""

import os
from pathlib import Path

import numpy as np
import pytest
from command_line import one_line_error

EXAMPLES = Path(__file__).parents[2] / "examples"
IMAGES = EXAMPLES / "fashion_mnist_calibration.npz"


@pytest.fixture
def checkpoint(tmp_path, network, monkeypatch):
    path = tmp_path / "net.pdparams"
    path.write_bytes(network)
    monkeypatch.chdir(tmp_path)
    for module in ("measurement", "recovery_job", "selection"):
        monkeypatch.setattr(f"spconvify.cli.{module}.load_paddle", loaded_too_early)
    return path


def loaded_too_early():
    raise AssertionError("found too late")


@pytest.mark.parametrize("out", ["net.pdparams", "in/../net.pdparams", "link.pdparams", "hard.pdparams"])
def test_convert_never_replaces_the_original(run, checkpoint, network, out):
    Path("link.pdparams").symlink_to(checkpoint)
    os.link(checkpoint, "hard.pdparams")
    Path("in").mkdir()
    error = one_line_error(run("convert", checkpoint, "--out", out, "--force"), 2)
    assert "is the same file as the checkpoint" in error
    # The other way round, too: the link is what is read.
    result = run("convert", "link.pdparams", "--out", checkpoint, "--force")
    assert "is the same file as the checkpoint link.pdparams" in one_line_error(result, 2)
    assert checkpoint.read_bytes() == network


CONVERT = "convert net.pdparams --force --calibration"
RECOVER = "recover net.pdparams --force --teacher t.pdparams --data"
OWN = "convert net.pdparams --arch own:build --force"
KEEPING = "recover net.pdparams --teacher t.safetensors --data images --checkpoint"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("report net.pdparams --plot images/1.png", "plot images/1.png exists; replace it with --force"),
        (f"{CONVERT} images --plot images/1.png", "is one of the files of --calibration"),
        (f"{CONVERT} images --plot link.png", "is one of the files of --calibration"),
        (f"{CONVERT} images/1.png --plot images/1.png", "is the same file as --calibration"),
        (f"{CONVERT} images --eval e.npz --out e.pdparams", "is the same file as --eval"),
        (f"{CONVERT} images --out o.pdparams --plot o.png", "is the same file as --out"),
        (f"{RECOVER} e.npz --out net.pdparams", "is the same file as the checkpoint"),
        (f"{RECOVER} e.npz --out t.pdparams", "is the same file as --teacher"),
        (f"{RECOVER} e.npz --out e.pdparams", "is the same file as --data"),
        (f"{RECOVER} images --eval e.npz --out e.pdparams", "is the same file as --eval"),
        (f"{KEEPING} t.safetensors", "output t.safetensors is the same file as --teacher"),
        (f"{KEEPING} n.safetensors --out n.safetensors", "is the same file as --out"),
        ("report net.pdparams --plan p.json --plot p.svg --force", "is the same file as --plan p.json"),
        (f"{OWN} --save-plan own.py", "is the same file as the module own "),
        (f"{OWN} --plot own.svg", "is the same file as the module own "),
        (f"{OWN} --out own.pdparams", "is the same file as the module own "),
        ("report own:build --plot own.svg --force", "is the same file as the module own "),
        ("report kit.nets:build --plot kit.svg --force", "is the same file as the module kit "),
        (f"{RECOVER} e.npz --arch own:build --out own.pdparams", "is the same file as the module own "),
        (f"{RECOVER} e.npz --log-dir t.pdparams/x", "isn't a folder"),
        ("export net.pdparams --out . --force", "is the current folder"),
        ("export net.pdparams --out images --force", "isn't from an earlier export: it holds '1.png'"),
        ("export net.pdparams --out net.pdparams --force", "exists and isn't a folder"),
        ("convert net.pdparams --out new.pdparams/", "'new.pdparams/' names a folder"),
        ("convert net.pdparams --out images/..", "'images/..' names a folder"),
        ("report net.pdparams --plot images/.", "'images/.' names a folder"),
        (f"{RECOVER} e.npz --out new/", "'new/' names a folder; give the name of a file"),
        (f"{RECOVER} e.npz --checkpoint new/", "'new/' names a folder; give the name of a file"),
    ],
)
def test_nothing_that_is_read_is_written(run, checkpoint, tmp_path, command, message):
    Path("images").mkdir()
    for name in ("images/1.png", "t.pdparams", "t.safetensors", "o.pdparams", "p.json", "own.py"):
        Path(name).write_text("precious")
    Path("kit").mkdir()
    for name in ("kit/__init__.py", "kit/nets.py"):
        Path(name).write_text("import sys; sys.exit()")  # to look where it lies doesn't run it
    for link, target in {"p.svg": "p.json", "own.svg": "own.py", "kit.svg": "kit/__init__.py"}.items():
        Path(link).symlink_to(target)
    os.link("own.py", "own.pdparams")
    np.savez("e.npz", images=np.zeros((2, 3, 32, 32), np.uint8), labels=np.zeros(2, np.int64))
    for name, target in (("link.png", "images/1.png"), ("e.pdparams", "e.npz"), ("o.png", "o.pdparams")):
        Path(name).symlink_to(target)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert message in one_line_error(run(*command.split()), 2)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_folder_of_pictures_may_hold_the_output(run, checkpoint):
    """What isn't a picture isn't read."""
    Path("old.pdparams").write_text("old")
    command = "convert net.pdparams --calibration . --out old.pdparams --force"
    assert "AssertionError: found too late" in one_line_error(run(*command.split()), 1)


@pytest.mark.parametrize(
    "command",
    [
        "convert net.pdparams", "export net.pdparams", "report net.pdparams --plot p.png",
        "recover net.pdparams --teacher net.pdparams --data e.npz",
    ],
)  # fmt: skip
def test_a_full_disk_and_a_read_only_folder_are_found_at_once(run, checkpoint, monkeypatch, command):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for call in ("os.write", "tempfile.mkstemp"):
        with monkeypatch.context() as patch:
            patch.setattr(call, full)
            error = one_line_error(run(*command.split()), 2)
        assert "can't be written to: No space left on device" in error
    assert os.listdir() == ["net.pdparams"]


def test_a_plot_that_comes_meanwhile_stays(run, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    plot, fsync = tmp_path / "p.png", os.fsync

    def slow(descriptor):
        fsync(descriptor)
        if plot.parent.exists() and os.fstat(descriptor).st_size > 5000:
            plot.write_text("precious")

    monkeypatch.setattr(os, "fsync", slow)
    code, _, notes = run("report", "resnet20", "--no-latency", "--plot", plot)
    assert code == 1
    assert "p.png exists and is as it was; choose another name" in notes
    assert plot.read_text() == "precious"
    assert os.listdir(tmp_path) == ["p.png"]
