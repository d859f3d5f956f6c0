"""What counts as white: by dtype and range, or refused."""

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.data.scale import white_of


@pytest.mark.parametrize(
    ("dtype", "low", "high", "white"),
    [
        ("uint8", 0, 255, 255),
        ("uint8", 3, 20, 255),  # dark, but bytes
        ("uint8", 0, 0, 255),
        ("uint16", 0, 65535, 65535),
        ("uint16", 0, 255, 255),
        (">u2", 0, 65535, 65535),
        ("int16", 0, 255, 255),
        ("int32", 0, 200, 255),
        ("int32", 0, 60000, 65535),
        ("int64", 0, 255, 255),
        ("uint64", 0, 255, 255),
        ("uint32", 0, 2**32 - 1, 2**32 - 1),
        ("float16", 0, 1, 1),
        ("float32", 0, 0.25, 1),
        ("float64", 0, 255, 255),
        (">f4", 0, 200, 255),
        ("float32", -1e-5, 1.00001, 1),  # rounding
    ],
)
def test_white(dtype, low, high, white):
    assert white_of(np.array([low, high], dtype)) == white


@pytest.mark.parametrize(
    ("dtype", "low", "high", "message"),
    [
        ("int64", -1, 255, "go from -1 to 255, which aren't pixels"),
        ("int8", 0, 127, "go from 0 to 127, which aren't pixels"),
        ("uint8", 0, 1, "end at 1, as masks' do and not pixels'"),
        ("int64", 0, 16, "end at 16, as masks' do and not pixels'"),
        ("float32", -0.01, 1.02, r"go from -0.01 to 1.02, and not over 0..1 or 0..255$"),
        ("uint16", 0, 4095, "go up to 4095, and what is white can't be told"),
        ("int16", 0, 32767, "go up to 32767"),
        ("int32", 0, 65536, "go up to 65536"),
        ("uint64", 0, 2**64 - 1, "go up to 18446744073709551615"),
        ("float32", -2.1, 2.6, "go from -2.1 to 2.6.*they are standardised already"),
        ("float32", 0, 3, "go from 0 to 3, and not over 0..1 or 0..255"),
        ("float32", 0, 1000, "go from 0 to 1000"),
        ("bool", 0, 1, "bool, as masks are"),
        ("complex64", 0, 1, "of dtype complex64"),
    ],
)
def test_what_cannot_be_told_is_refused(dtype, low, high, message):
    with pytest.raises(ArgumentError, match=message):
        white_of(np.array([low, high], dtype))
