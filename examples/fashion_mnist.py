"""Fashion-MNIST as (image, label) pairs, normalised, from a download or from local IDX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from paddle.vision.datasets import FashionMNIST

MEAN, STD = 0.2860, 0.3530  # of the 60,000 training images, in [0, 1]
_PREFIX = {"train": "train", "test": "t10k"}


def normalise(image: np.ndarray) -> np.ndarray:
    """(28, 28) of 0..255 -> float32 (1, 28, 28) of mean 0 and variance 1."""
    return ((image.astype(np.float32) / 255.0 - MEAN) / STD)[None]


class Augment:
    """Random horizontal flip and a shift of up to 2 pixels, then `normalise`."""

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        if self._random.random() < 0.5:
            image = image[:, ::-1]
        down, right = self._random.integers(0, 5, 2)
        return normalise(np.pad(image, 2)[down : down + 28, right : right + 28])


def dataset(mode: str, data_dir: Path | None = None, transform=normalise) -> FashionMNIST:
    """The 60,000 images of mode 'train' or the 10,000 of 'test'.

    `data_dir` holds the four ``*-ubyte.gz`` files; without it Paddle downloads them.
    """
    files = {}
    if data_dir is not None:
        stem = Path(data_dir) / _PREFIX[mode]
        files = {
            "image_path": f"{stem}-images-idx3-ubyte.gz",
            "label_path": f"{stem}-labels-idx1-ubyte.gz",
        }
    return FashionMNIST(**files, mode=mode, transform=transform, backend="cv2")
