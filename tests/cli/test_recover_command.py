"""spconvify recover: from two checkpoints to a third one."""

import json
import os
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


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--epochs", 1], "--steps and --epochs contradict each other"),
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
