"""Mean, std and layout: in both units, from every source, and those that can't be."""

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.data.preparation import IMAGENET_MEAN, IMAGENET_STD, Preparation

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype("uint8")
IN_BYTES = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def rgb(**options):
    return Preparation(3, (4, 5), **options)


def test_mean_and_std_of_0_to_255_are_those_of_0_to_1():
    usual = rgb().normalise(PIXELS)
    np.testing.assert_allclose(
        rgb(mean=IN_BYTES[0], std=IN_BYTES[1]).normalise(PIXELS), usual, rtol=1e-5
    )
    np.testing.assert_allclose(rgb().normalise(PIXELS, *IN_BYTES), usual, rtol=1e-5)
    assert str(rgb(mean=IN_BYTES[0], std=IN_BYTES[1]).statistics()).endswith("given for 0..255")


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ((0.0,), (1.0,), PIXELS / 255),
        ((0.0,), (255.0,), PIXELS / 255),
        ((100.0,), (1.0,), PIXELS - 100.0),  # Caffe's
        ((127.5,), (127.5,), PIXELS / 127.5 - 1),
        ((0.5,), (0.5,), PIXELS / 127.5 - 1),
    ],
)
def test_units(mean, std, expected):
    values = rgb(mean=mean, std=std).normalise(PIXELS)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


def test_the_users_come_before_the_files_and_those_before_the_usual():
    statistics = rgb(mean=(0.1,)).statistics(mean=[0.2] * 3, std=np.full((1, 3, 1, 1), 0.3))
    assert (statistics.mean, statistics.std) == ((0.1,), (0.3,) * 3)
    statistics = rgb().statistics()
    assert (statistics.mean, statistics.std) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0.5], [58.0], "mean 0.5 is of pixels in 0..1, and std 58 of pixels in 0..255"),
        ([123.0, 116.0, 103.0], [0.2], "mean 123 is of pixels in 0..255, and std 0.2 of pixels in 0..1"),
        ([-0.5], None, "mean -0.5 can't be the mean of pixels"),
        ([1000.0], None, "mean 1000 can't be the mean of pixels"),
        (None, [-1.0], "std -1 isn't positive"),
        (None, [np.nan], "isn't finite"),
        ([np.inf], None, "isn't finite"),
        ([0.1, 0.2], None, "2 numbers of mean or std for 3 channels"),
        (np.array("abc"), None, "mean is of dtype <U3"),
        (np.zeros((3, 4, 5)), None, "60 numbers of mean or std for 3 channels"),
    ],
)
def test_what_cannot_be(mean, std, message):
    with pytest.raises(ArgumentError, match=message):
        rgb().statistics(mean, std)


def test_other_channels_have_no_usual_statistics():
    with pytest.raises(ArgumentError, match=r"no mean and std are usual for 4 channels; give "):
        Preparation(4, (2, 2)).statistics()
    assert Preparation(4, (2, 2), mean=(0.5,), std=(0.5,)).statistics().mean == (0.5,)


def test_of_a_networks_input():
    assert Preparation.of((1, 3, 5, 7)) == Preparation(3, (5, 7))
    channels_last = Preparation.of((8, 5, 7, 3), "NHWC", resize=(2, 2))
    assert channels_last == Preparation(3, (5, 7), (2, 2), layout="NHWC")
    assert channels_last.arrange(PIXELS).shape == (2, 4, 5, 3)


@pytest.mark.parametrize(("given", "missing"), [("mean", "std"), ("std", "mean")])
def test_one_of_mean_and_std_is_nothing_without_the_other(given, missing):
    preparation = Preparation.of((1, 1, 28, 28), **{given: (0.286,)})
    with pytest.raises(ArgumentError, match=f"{given}= is nothing without {missing}=; give both"):
        preparation.statistics()
    found = preparation.statistics(**{missing: (0.353,)})  # the file's
    assert getattr(found, missing) == (0.353,)


def test_blue_first():
    """Turned around before the mean and the std, which are in the network's order."""
    np.testing.assert_array_equal(
        rgb(bgr=True).normalise(PIXELS), rgb().normalise(PIXELS[:, ::-1].copy())
    )
    mean, std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    values = rgb(bgr=True, mean=mean, std=std).normalise(PIXELS)
    np.testing.assert_allclose(values[:, 0], (PIXELS[:, 2] / 255 - 0.1) / 0.4, rtol=1e-5, atol=1e-5)
    assert values.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("channels", [1, 4])
def test_blue_first_needs_three_channels(channels):
    with pytest.raises(ArgumentError, match=rf"bgr=True turns three .* takes {channels}; leave it out"):
        Preparation(channels, (4, 5), bgr=True)
