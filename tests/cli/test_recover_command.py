"""spconvify recover: from two checkpoints to a third one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import one_line_error

from spconvify import convert, load, save

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
IMAGES = EXAMPLES / "fashion_mnist_calibration.npz"
LABELLED = EXAMPLES / "fashion_mnist_test.npz"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    path = tmp_path_factory.mktemp("converted") / "sp.pdparams"
    save(convert(load(SHIPPED), fusion="sum", include="layer3.2.*"), path)
    return path


@pytest.fixture
def few_labelled(tmp_path):
    path = tmp_path / "few.npz"
    with np.load(LABELLED) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "images": arrays["images"][:40], "labels": arrays["labels"][:40]})
    return path


def options(converted, out, *more):
    return (
        "recover", converted, "--teacher", SHIPPED, "--data", IMAGES, "--steps", 3, "--batch-size", 8,
        "--out", out, *more,
    )  # fmt: skip


def test_recovers_and_tells_the_accuracies(run, tmp_path, converted, few_labelled):
    out = tmp_path / "tuned.pdparams"
    code, text, notes = run(*options(converted, out, "--eval", few_labelled, "--format", "json"))
    assert code == 0, notes
    summary = json.loads(text)
    assert summary["steps"] == 3
    assert summary["top1"] >= summary["top1_before"] > 10
    assert "256 images of 28x28" in notes
    assert "step 3/3, loss" in notes
    assert "0 s left" in notes
    assert sorted(os.listdir(tmp_path)) == ["few.npz", "tuned.pdparams"]  # the checkpoint is gone
    load(out)


def test_writes_where_it_should_and_not_over_it(run, tmp_path, converted):
    out, kept = tmp_path / "tuned.safetensors", tmp_path / "kept.safetensors"
    code, text, _ = run(*options(converted, out, "--no-augment", "--checkpoint", kept))
    assert code == 0
    assert text.startswith("3 steps of 8 images, loss")
    assert kept.exists()
    before = out.read_bytes()
    result = run(*options(converted, out))
    assert "replace it with --force" in one_line_error(result, 2)
    assert out.read_bytes() == before


def test_labels_that_should_count_and_arent_there(run, tmp_path, converted):
    arguments = options(converted, tmp_path / "tuned.pdparams", "--label-weight", 0.5)
    error = one_line_error(run(*arguments, "--quiet"), 2)
    assert f"--label-weight needs labels, and {IMAGES} has none" in error
    assert not list(tmp_path.iterdir())


def test_a_folder_of_pictures_is_read_piece_by_piece(run, tmp_path, converted):
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    folder.mkdir()
    with np.load(IMAGES) as file:
        for index, pixels in enumerate(file["images"][:10]):
            image.fromarray(pixels).save(folder / f"{index}.png")
    command = options(converted, tmp_path / "tuned.pdparams", "--mean", "0.286", "--std", "0.353")
    code, _, notes = run(*command[:5], folder, *command[6:])
    assert code == 0, notes
    assert "10 images from" in notes
    (folder / "5.png").write_bytes(b"no picture")
    code, _, notes = run(*command[:5], folder, *command[6:], "--force")
    assert code == 0, notes
    assert "9 images from" in notes
    assert "5.png: not a picture that can be read" in notes
    error = one_line_error(run(*command[:5], folder, *command[6:], "--force", "--bgr"), 2)
    assert "--bgr turns three channels around" in error


def started(*arguments):
    """The command in a process of its own; what it says on stderr comes line by line."""
    command = [sys.executable, "-m", "spconvify", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(process, text):
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError(f"it ended without {text!r}")


@pytest.mark.slow
def test_interrupted_it_says_what_is_kept_and_goes_on_from_there(run, tmp_path, converted):
    out, kept = tmp_path / "tuned.pdparams", tmp_path / "tuned-recovery.safetensors"
    command = [*options(converted, out), "--steps", 40, "--batch-size", 4]
    with started(*command) as process:
        wait_for(process, "step 8/40")
        process.send_signal(signal.SIGINT)
        notes = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"{kept} is kept: the same command goes on from there" in notes
    assert "error: interrupted" in notes
    assert os.listdir(tmp_path) == [kept.name]
    code, text, notes = run(*command, "--format", "json")
    assert code == 0, notes
    resumed = json.loads(text)["resumed_from"]
    assert resumed >= 8
    assert f"resuming: checkpoint {kept} has {resumed} of 40 steps of this run" in notes
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.slow
def test_two_runs_exclude_one_another(run, tmp_path, converted):
    """With one --out, and with one --checkpoint: the second is told before it reads anything."""
    out, kept = tmp_path / "tuned.pdparams", tmp_path / "kept.safetensors"
    command = [*options(converted, out), "--steps", 100, "--batch-size", 4]
    with started(*command, "--checkpoint", kept) as process:
        wait_for(process, "step 10/100")
        for more in ([], ["--checkpoint", tmp_path / "other.safetensors"], ["--seed", 2]):
            start = time.monotonic()
            message = one_line_error(run(*command, *more), 2)
            assert f"another recover is at work on {out}" in message
            assert time.monotonic() - start < 5
        other = ["--out", tmp_path / "other.pdparams", "--checkpoint", kept]
        assert f"another recover is at work on {kept}" in one_line_error(run(*command, *other), 2)
        process.kill()
    code, _, notes = run(*command, "--checkpoint", kept)
    assert code == 0, notes
    assert "resuming" in notes
    assert sorted(os.listdir(tmp_path)) == [kept.name, out.name]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", 1], "--steps and --epochs contradict each other"),
        (["--seed", 2**40], "seed 1099511627776 is more than 4294967295"),
        (["--temperature", 1e6], "temperature 1e+06 isn't between 0.01 and 100"),
        (["--learning-rate", "-1"], "learning_rate -1 isn't a positive number"),
        (["--format", "md"], "--format 'md' is unknown; use one of: table, json"),
    ],
)
def test_wrong_calls_are_found_before_paddle_is_loaded(run, tmp_path, converted, more, message):
    assert message in one_line_error(run(*options(converted, tmp_path / "o.pdparams", *more)), 2)


def test_a_network_that_is_not_converted(run, tmp_path):
    result = run(*options(SHIPPED, tmp_path / "o.pdparams"))
    assert "isn't converted; run `spconvify convert` on it first" in one_line_error(result, 2)


def test_a_teacher_that_is_converted_too(run, tmp_path, converted):
    command = options(converted, tmp_path / "o.pdparams")
    code, _, notes = run(*(converted if part == SHIPPED else part for part in command))
    assert code == 2
    assert "the teacher's 'layer3.2.conv1' is an SPConv2D already" in notes


def test_what_lies_at_the_checkpoints_place_at_the_end_stays(run, tmp_path, converted, monkeypatch):
    from spconvify.cli import recovery_job

    out, kept = tmp_path / "tuned.pdparams", tmp_path / "tuned-recovery.safetensors"
    save_at = recovery_job.save_at

    def late(*arguments):
        kept.unlink()
        kept.write_text("precious")
        return save_at(*arguments)

    monkeypatch.setattr(recovery_job, "save_at", late)
    code, _, notes = run(*options(converted, out))
    assert code == 0, notes
    assert kept.read_text() == "precious"
    assert f"warning: {kept} stays: this run hasn't written what is there now" in notes
    load(out)


def test_wrong_variables_of_processes_are_found_first(run, monkeypatch):
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "")
    result = run("recover", "gone.pdparams", "--teacher", "gone.pdparams", "--data", "gone")
    assert "PADDLE_TRAINERS_NUM is ''" in one_line_error(result, 2)


@pytest.mark.parametrize(
    ("folder", "option"),
    [
        ("out.pdparams", "--out"),
        ("out.pdparams/curves", "--out"),
        ("x/../out-recovery.safetensors", "--checkpoint"),
    ],
)
def test_curves_do_not_take_the_place_of_a_result(run, tmp_path, converted, folder, option):
    (tmp_path / "x").mkdir()
    out, curves = tmp_path / "out.pdparams", tmp_path / folder
    said = one_line_error(run(*options(converted, out, "--log-dir", curves)), 2)
    assert f"--log-dir {curves} would be a folder where {option}" in said
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_the_loss_is_chosen(run, tmp_path, monkeypatch, converted):
    monkeypatch.chdir(tmp_path)
    module = f"losses_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(
        "def distance(own, taught): return (own - taught).abs().mean()\n"
        "def array(own, taught): return own.numpy().mean()\n"
    )
    out = tmp_path / "tuned.pdparams"
    for loss in ("mse", f"{module}:distance"):
        code, _, notes = run(*options(converted, out, "--loss", loss, "--force"))
        assert code == 0, notes
    result = run(*options(converted, out, "--loss", f"{module}:array", "--force", "--quiet"))
    assert "loss 'array' gives a" in one_line_error(result, 2)
    result = run(*options(converted, out, "--loss", f"{module}:nothing", "--force"))
    assert f"loss '{module}:nothing': module '{module}' has no 'nothing'" in one_line_error(result, 2)


def test_losses_that_cannot_be(run, tmp_path, converted):
    out = tmp_path / "tuned.pdparams"
    for more, message in [
        (("--loss", "l1"), "loss 'l1' is unknown; use 'kl' or 'mse'"),
        (("--loss", "mse", "--axis", 1), "axis 1 acts on loss 'kl', not on one 'mse'"),
        (("--loss", "a:b", "--label-weight", 1), "label_weight 1 and a loss of your own contradict"),
    ]:
        assert message in one_line_error(run(*options(converted, out, *more)), 2)
