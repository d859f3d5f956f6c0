"""convert --calibration: fitted weights, accuracy before and after, and bad images."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from command_line import one_line_error

from spconvify import SPConv2D, convert, load
from spconvify.checkpoint import read_state, write_state
from spconvify.data.sample import sample_rows

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
IMAGES = EXAMPLES / "fashion_mnist_calibration.npz"
LABELLED = EXAMPLES / "fashion_mnist_test.npz"


@pytest.fixture(scope="module")
def small_test_set(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "test.npz"
    with np.load(LABELLED) as file:
        arrays = dict(file)
    np.savez(path, **{**arrays, "images": arrays["images"][:300], "labels": arrays["labels"][:300]})
    return path


def test_keeps_the_accuracy_of_the_shipped_network(run, tmp_path, small_test_set):
    """Two stages are enough to see it: copying the weights of all three gives less than 30 %."""
    code, text, notes = run(
        "convert", SHIPPED, "--calibration", IMAGES, "--calibration-count", 44, "--fusion", "sum",
        "--include", "layer[23].*", "--eval", small_test_set, "--out", tmp_path / "sp.pdparams",
        "--format", "json",
    )  # fmt: skip
    assert code == 0, notes
    data = json.loads(text)
    assert data["input_shape"] == [1, 1, 28, 28]
    assert data["before"]["top1"] > 90
    assert data["after"]["top1"] > 0.95 * data["before"]["top1"]
    assert (data["agreement"]["images"], data["agreement"]["where"]) == (11, "left out of the fit")
    assert data["agreement"]["outputs"][0]["same"] >= 75
    errors = [site["error"] for site in data["sites"] if site["eligible"]]
    assert len(errors) == 12
    assert all(0 < error < 0.5 for error in errors)
    assert "44 images of 28x28 from fashion_mnist_calibration.npz, mean 0.286 and std 0.353" in notes
    loaded = load(tmp_path / "sp.pdparams")
    assert isinstance(loaded.layer3[0].conv1, SPConv2D)
    assert loaded.layer3[0].conv1.channels is not None


def test_python_and_command_line_give_the_same_weights(run, tmp_path):
    options = ("--include", "layer3.2.*", "--fusion", "sum", "--calibration-count", 16)
    run("convert", SHIPPED, "--calibration", IMAGES, *options, "--out", tmp_path / "sp.pdparams")
    with np.load(IMAGES) as file:
        pixels = file["images"][sample_rows(256, 16), None].astype("float32")
    batches = [(pixels / np.float32(255) - np.float32(0.286)) / np.float32(0.353)]
    model = convert(load(SHIPPED), fusion="sum", init="lstsq", calibration=batches, include="layer3.2.*")
    expected = model.state_dict()
    for key, value in load(tmp_path / "sp.pdparams").state_dict().items():
        np.testing.assert_array_equal(value.numpy(), expected[key].numpy(), err_msg=key)


ONE_LAYER = ("--include", "layer3.2.conv2", "--fusion", "sum")


def test_agreement_on_images_left_out_is_shown_without_labels(run, tmp_path):
    code, text, notes = run(
        "convert", SHIPPED, *ONE_LAYER, "--calibration", IMAGES, "--calibration-count", 40,
        "--out", tmp_path / "sp.pdparams",
    )  # fmt: skip
    assert code == 0, notes
    assert "% same top-1 on 10 images left out of the fit" in text
    assert "warning" not in notes


def test_copied_weights_are_held_against_the_original_on_the_labelled_images(
    run, tmp_path, small_test_set
):
    code, text, notes = run("convert", SHIPPED, *ONE_LAYER, "--eval", small_test_set,
                            "--out", tmp_path / "sp.pdparams")  # fmt: skip
    assert code == 0, notes
    assert "% same top-1 on 300 images of test.npz" in text


def test_wrong_normalisation_is_told(run, tmp_path):
    with np.load(IMAGES) as file:
        pixels = file["images"][:32]
    np.save(tmp_path / "floats.npy", pixels[:, None].astype("float32") / 255)
    code, _, notes = run("convert", SHIPPED, *ONE_LAYER, "--calibration", tmp_path / "floats.npy",
                         "--out", tmp_path / "sp.pdparams")  # fmt: skip
    assert code == 0, notes
    assert "warning: the calibration images aren't what the network was trained on" in notes
    assert "values of 0..1" in notes


def test_a_checkpoint_with_weights_that_are_not_finite(run, tmp_path):
    state = read_state(SHIPPED)
    state["layer3.2.conv2.weight"] = state["layer3.2.conv2.weight"] * np.float32(np.nan)
    write_state(tmp_path / "nan.pdparams", state)
    result = run("convert", tmp_path / "nan.pdparams", "--out", tmp_path / "sp.pdparams")
    assert "'layer3.2.conv2.weight' holds NaN or infinity" in one_line_error(result, 1)
    assert os.listdir(tmp_path) == ["nan.pdparams"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--init", "lstsq"], "--init lstsq needs images: --calibration FOLDER"),
        (["--init", "copy", "--calibration", IMAGES], "--init copy uses no images"),
        (["--calibration", "nowhere"], "there is no such file or folder"),
        (["--calibration", "."], "no readable image in this folder"),
        (["--calibration", IMAGES, "--mean", "a"], "--mean 'a' isn't numbers"),
        (["--calibration", IMAGES, "--resize", "0"], "--resize '0' isn't a size"),
        (["--eval", IMAGES], "--eval needs a file with labels"),
    ],
)
def test_wrong_calls(run, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    assert message in one_line_error_at_the_end(
        run("convert", SHIPPED, *options, "--out", "sp.pdparams")
    )
    assert os.listdir(tmp_path) == []


def one_line_error_at_the_end(result):
    """The images' note may come before the error."""
    code, out, err = result
    return one_line_error((code, out, err.splitlines(keepends=True)[-1]), 2)
