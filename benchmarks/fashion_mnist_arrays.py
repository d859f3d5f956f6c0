"""The data that the benchmarks share: Fashion-MNIST as normalised arrays, and the shipped network."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np

from spconvify.cli.paddle_setup import load_paddle

load_paddle()  # before anything else imports it: fast matrix products on AMD
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NETWORK = EXAMPLES / "resnet20_fashion_mnist.pdparams"
sys.path.insert(0, str(EXAMPLES))

from fashion_mnist import MEAN, STD, dataset  # noqa: E402 - of examples/


def calibration() -> np.ndarray:
    """The 256 images beside the network, float32 (256, 1, 28, 28)."""
    return _normalised(np.load(EXAMPLES / "fashion_mnist_calibration.npz")["images"])


@functools.cache
def train(data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 training images and their labels."""
    return _arrays("train", data_dir)


@functools.cache
def test(data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images and their labels."""
    return _arrays("test", data_dir)


def _arrays(mode: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    pairs = dataset(mode, data_dir, transform=lambda image: np.asarray(image, np.uint8).reshape(28, 28))
    images, labels = zip(*(pairs[index] for index in range(len(pairs))))
    return _normalised(np.stack(images)), np.array([np.asarray(label).item() for label in labels])


def _normalised(pixels: np.ndarray) -> np.ndarray:
    return ((pixels.astype(np.float32) / 255.0 - np.float32(MEAN)) / np.float32(STD))[:, None]
