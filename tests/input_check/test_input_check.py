"""Wrong normalisation is told, and named, without labels; right images give no alarm."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from paddle import nn
from picture_networks import MEAN, STD, imagenet, pictures, trained

from spconvify import convert, load, recover, slim
from spconvify.errors import InputWarning
from spconvify.input_check.check import check_inputs
from spconvify.input_check.corrections import scaling_cause

EXAMPLES = Path(__file__).parents[2] / "examples"


def unit(pixels):
    return pixels / np.float32(255)


def half(pixels):
    return pixels / np.float32(127.5) - 1


def raw(pixels):
    return pixels


def bgr(pixels):
    return imagenet(pixels[:, ::-1])


def said(model, *batches):
    """What the check warns of, in one text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_inputs(model, batches)
    return "; ".join(str(w.message) for w in caught if issubclass(w.category, InputWarning))


@pytest.mark.parametrize("wanted", [imagenet, unit, half, raw, bgr])
def test_right_images_give_no_alarm(wanted):
    model = trained(wanted)
    for count in (16, 17, 64):
        assert said(model, wanted(pictures(count, seed=count))) == ""


MISTAKES = [
    (imagenet, raw, "they are pixels of 0..255, .* trained on values with ImageNet's mean and std"),
    (imagenet, unit, "they are values of 0..1, .* trained on values with ImageNet's mean and std"),
    (imagenet, half, "they are values of -1..1 .* trained on values with ImageNet's mean and std"),
    (imagenet, bgr, "their channels are in the other order"),
    (bgr, imagenet, "their channels are in the other order"),
    (imagenet, lambda p: (p - MEAN) / STD, "pixels of 0..255 less a mean .* meant for 0..1"),
    (imagenet, lambda p: p / 65025, "pixels divided by 255 twice"),
    (imagenet, lambda p: imagenet(p / 255), "divided by 255 twice, then less a mean"),
    (imagenet, lambda p: (imagenet(p) - MEAN) / STD, "mean and std taken off twice"),
    (unit, imagenet, "they are values with ImageNet's mean and std, .* trained on values of 0..1"),
    (unit, half, "they are values of -1..1 .* trained on values of 0..1"),
    (half, unit, "they are values of 0..1, .* trained on values of -1..1"),
    (raw, unit, "they are values of 0..1, .* trained on pixels of 0..255"),
    (raw, imagenet, "they are values with ImageNet's mean and std, .* trained on pixels of 0..255"),
]


@pytest.mark.parametrize(("wanted", "given", "cause"), MISTAKES)
def test_a_mistake_is_named(wanted, given, cause):
    text = said(trained(wanted), given(pictures(64, seed=5)).astype("float32"))
    assert text.startswith("the calibration images aren't what the network was trained on")
    assert re.search(cause, text), text


def as_trained(count, mean=0.286, std=0.353, change=lambda pixels: pixels):
    """Images as the shipped network takes them, or nearly so."""
    with np.load(EXAMPLES / "fashion_mnist_calibration.npz") as file:
        pixels = change(file["images"][:count].astype("float32") / 255)
    return ((pixels - mean) / std).reshape(-1, 1, 28, 28).astype("float32")


@pytest.mark.parametrize(("mean", "std"), [(0.286, 0.42), (0.286, 0.5), (0.1307, 0.3081), (0.4, 0.353)])
def test_a_scale_that_is_a_little_off_costs_half_of_the_accuracy(mean, std):
    model = load(EXAMPLES / "resnet20_fashion_mnist.pdparams")
    assert "another mean and std" in said(model, as_trained(256, mean, std))
    assert said(model, as_trained(256)) == ""


def test_inverted_pictures():
    model = load(EXAMPLES / "resnet20_fashion_mnist.pdparams")
    assert "light and dark are exchanged" in said(
        model, as_trained(64, change=lambda pixels: 1 - pixels)
    )


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_of_channels_last_networks_too(data_format):
    model = trained(data_format=data_format)

    def turned(x):
        return x if data_format == "NCHW" else np.moveaxis(x, 1, -1)

    assert said(model, turned(imagenet(pictures(32)))) == ""
    assert "pixels of 0..255" in said(model, turned(pictures(32)))
    assert "in the other order" in said(model, turned(bgr(pictures(32))))


@pytest.fixture(scope="module")
def shipped():
    """The network, pixels (N, 1, 28, 28) of 0..255, and its mean and std."""
    model = load(EXAMPLES / "resnet20_fashion_mnist.pdparams")
    model.eval()
    with np.load(EXAMPLES / "fashion_mnist_calibration.npz") as file:
        return model, file["images"][:, None].astype("float32"), file["mean"], file["std"]


def test_of_the_shipped_network_right_images(shipped):
    model, pixels, mean, std = shipped
    random = np.random.default_rng(0)
    for count in (16, 16, 16, 24, 64, 256):
        chosen = random.choice(256, count, replace=False)
        assert said(model, (pixels[chosen] / 255 - mean) / std) == ""


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda p, m, s: p, r"pixels of 0..255; .* less mean 0.2\d* and over std 0.3"),
        (lambda p, m, s: p / 255, r"values of 0..1; .* less mean 0.2\d* and over std 0.3"),
        (lambda p, m, s: p / 127.5 - 1, r"values of -1..1 .* less mean 0.2\d* and over std 0.3"),
        (lambda p, m, s: (p / 255 - 0.449) / 0.226, r"ImageNet's mean and std; .* mean 0.2"),
        (lambda p, m, s: (p - m) / s, "another mean and std: 0.0039"),
        (lambda p, m, s: (p / 65025 - m) / s, "another mean and std: 2[456]"),
    ],
)
def test_of_the_shipped_network_wrong_images(shipped, change, cause):
    model, *data = shipped
    text = said(model, change(*data).astype("float32"))
    assert re.search(cause, text), text


def test_images_of_another_kind(shipped):
    model, pixels, mean, std = shipped
    charts = np.full_like(pixels[:64], 255)
    charts[:, :, 5::9], charts[:, :, :, 3::7] = 0, 0
    charts[::2, :, 9] = 0
    noise = np.random.default_rng(0).standard_normal((64, 1, 28, 28))
    for images in ((charts / 255 - mean) / std, noise):
        text = said(model, images.astype("float32"))
        assert "no usual mistake explains it: are they pictures of the same kind?" in text


def test_constant_and_few_images(shipped):
    model, pixels, mean, std = shipped
    right = ((pixels - 255 * mean) / (255 * std)).astype("float32")
    assert said(model, right[:4]) == (
        "the calibration images are too few (4) to say much of others; give a few hundred"
    )
    assert "all of a single colour" in said(model, np.full_like(right[:20], 0.3))
    assert "all the same one" in said(model, np.repeat(right[:1], 20, axis=0))
    mostly = np.concatenate([right[:5], np.zeros_like(right[:20])])
    assert "mostly of a single colour (20 of 25" in said(model, mostly)


def test_networks_without_a_trained_batchnorm():
    fresh = nn.Sequential(nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8))
    without = nn.Sequential(nn.Conv2D(3, 8, 3), nn.GroupNorm(2, 8))
    for model in (fresh, without):
        assert said(model, imagenet(pictures(32))) == ""
        assert said(model, unit(pictures(32))) == ""
        assert "pixels of 0..255 that should be scaled" in said(model, pictures(32))
        assert "divided by 255 twice" in said(model, unit(pictures(32)) / 255)


def test_a_network_that_does_not_run_is_left_to_what_follows():
    assert said(trained(), np.random.default_rng(0).standard_normal((20, 5, 8, 8))) == ""


def test_leaves_hooks_and_modes_alone():
    model = trained()
    model.train()
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    said(model, pictures(32))
    assert all(layer.training for layer in model.sublayers(True))
    assert not any(layer._forward_pre_hooks for layer in model.sublayers(True))
    assert all(np.array_equal(before[key], value.numpy()) for key, value in model.state_dict().items())


def test_batches_of_several_sizes_and_thousands_of_images():
    model = trained()
    batches = [imagenet(pictures(30, size=24, seed=i)) for i in range(40)]
    assert said(model, *batches, imagenet(pictures(3, size=48))) == ""
    with pytest.warns(InputWarning, match="the evaluation images aren't"):
        check_inputs(model, [pictures(30)], "evaluation")


def test_float64_networks():
    model = trained().to(dtype="float64")
    assert said(model, imagenet(pictures(32))) == ""
    assert paddle.float64 == model[0].weight.dtype


def test_recover_checks_what_the_teacher_sees():
    teacher = trained()
    student = convert(teacher, fusion="sum")
    options = {"steps": 1, "batch_size": 16, "feature_weight": 0.0}
    with pytest.warns(InputWarning, match="the training images aren't .* pixels of 0..255"):
        recover(student, teacher, pictures(32), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error", InputWarning)
        recover(student, teacher, imagenet(pictures(32)), **options)


@pytest.mark.parametrize("given", [pictures, lambda count: imagenet(pictures(count))])
def test_labelled_images_are_checked_as_well(given):
    model, labels = trained(), np.arange(32) % 3
    wrong = given is pictures
    for work in (
        lambda: slim(model, eval_data=(given(32), labels), fusion="sum", input_shape=(1, 3, 24, 24)),
        lambda: recover(
            convert(model, fusion="sum"), model, imagenet(pictures(16)), steps=1, batch_size=16,
            eval_data=(given(32), labels),
        ),
    ):  # fmt: skip
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            work()
        found = [str(w.message) for w in caught if issubclass(w.category, InputWarning)]
        assert [text.startswith("the evaluation images aren't what") for text in found] == [True] * wrong


class FarOff:
    """What a probe tells of images that hardly vary where it looks."""

    def distance(self, batches):
        assert all(np.isfinite(batch).all() for batch in batches)
        return SimpleNamespace(median=9.0, mean=9.0)

    def affine(self, batches):
        return 1e25, 0.0


def test_a_scale_that_nobody_has_used_is_not_looked_at():
    assert scaling_cause(FarOff(), [np.ones((2, 1, 4, 4), np.float32)], 1) is None
