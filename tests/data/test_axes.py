"""Which axis is which, for every shape that people bring."""

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.data.axes import find_axes


@pytest.mark.parametrize(
    ("shape", "channels", "expected"),
    [
        ((5, 3, 8, 9), 3, (5, 3, 8, 9)),
        ((5, 8, 9, 3), 3, (5, 3, 8, 9)),
        ((5, 8, 9), 1, (5, 1, 8, 9)),
        ((4, 8, 9), 1, (4, 1, 8, 9)),
        ((5, 8, 9, 1), 1, (5, 1, 8, 9)),
        ((1, 8, 9), 1, (1, 1, 8, 9)),
        ((8, 9, 1), 1, (1, 1, 8, 9)),
        ((8, 9, 3), 3, (1, 3, 8, 9)),
        ((3, 8, 9), 3, (1, 3, 8, 9)),
        ((5, 8, 9, 4), 4, (5, 4, 8, 9)),
    ],
)
def test_shapes(shape, channels, expected):
    assert find_axes(shape, channels).apply(np.zeros(shape)).shape == expected


def test_where_both_could_be_the_networks_layout_decides():
    array = np.random.default_rng(0).random((2, 3, 5, 3))
    np.testing.assert_array_equal(find_axes(array.shape, 3).apply(array), array)
    turned = find_axes(array.shape, 3, "NHWC").apply(array)
    np.testing.assert_array_equal(turned, array.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(
    ("shape", "channels", "message"),
    [
        ((), 3, "but a scalar"),
        ((9,), 3, "but 9"),
        ((8, 9), 1, "but 8x9"),
        ((2, 3, 4, 8, 9), 3, "but 2x3x4x8x9"),
        ((0, 3, 8, 9), 3, "holds no images"),
        ((5, 3, 0, 9), 3, "holds no images"),
        ((32, 32, 3), 1, "one picture with channels"),
        ((3, 32, 32), 1, "one picture with channels"),
        ((32, 32, 2), 1, "one picture with channels"),
        ((50, 28, 28), 3, "images without channels, and the network takes 3 channels"),
        ((5, 28, 28, 3), 1, "3 channels, and the network takes 1"),
        ((5, 5, 4, 4), 3, "5 channels, and the network takes 3"),
        ((5, 64, 64, 3), 1, "3 channels, and the network takes 1"),
        ((5, 64, 64, 4), 3, "4 channels, and the network takes 3"),
        ((5, 16, 16, 1), 3, "1 channels, and the network takes 3"),
        ((5, 1, 64, 64), 3, "1 channels, and the network takes 3"),
    ],
)
def test_what_cannot_be_told_is_refused(shape, channels, message):
    with pytest.raises(ArgumentError, match=message):
        find_axes(shape, channels)
