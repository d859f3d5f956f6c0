"""--normalize: what each family does with a pixel, and what it can't be given with."""

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.cli.data import Data
from spconvify.cli.wording import worded

RED = np.array([255, 0, 51], "uint8").reshape(1, 3, 1, 1)  # red, green and blue


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("imagenet", [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]),
        ("none", [1, 0, 0.2]),
        ("paddleseg", [1, -1, -0.6]),
        ("paddleocr-det", [(0.2 - 0.485) / 0.229, (0 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
        ("paddleocr-rec", [-0.6, -1, 1]),
    ],
)
def test_a_pixel(name, expected):
    preparation = Data(normalize=name).preparation((1, 3, 8, 8), "NCHW")
    np.testing.assert_allclose(preparation.normalise(RED).ravel(), expected, rtol=1e-5)


def test_blue_first_may_be_said_too():
    assert Data(normalize="imagenet", bgr=True).preparation((1, 8, 8, 3), "NHWC").bgr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"normalize": "paddleocr"},
            "--normalize paddleocr is unknown; use one of: imagenet, none",
        ),
        ({"normalize": "none", "mean": (0.5,)}, "--normalize says mean and std, and --mean too"),
        ({"normalize": "imagenet", "std": (0.5,)}, "--normalize says mean and std, and --std too"),
    ],
)
def test_what_does_not_go(options, message):
    with pytest.raises(ArgumentError) as error:
        Data(**options)
    assert message in worded(error.value)


@pytest.mark.parametrize("name", ["imagenet", "paddleocr-det", "paddleocr-rec"])
def test_one_channel(name):
    with pytest.raises(ArgumentError, match=f"--normalize {name} is for three channels, and the"):
        Data(normalize=name).preparation((1, 1, 8, 8), "NCHW")
    for other in ("none", "paddleseg"):
        Data(normalize=other).preparation((1, 1, 8, 8), "NCHW")
