"""Calibration images: whatever the caller has, checked once, as float batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import paddle

from spconvify.errors import ArgumentError

# Activations of both networks are alive at once, so memory grows with the pixels in a batch: 8 images
# of 224x224 keep VGG-16 well under 4 GB.
BATCH_PIXELS = 8 * 224 * 224


class CalibrationImages:
    """Image batches that can be gone through again and again, in the same form every time.

    Args:
        batches: an iterable of (N, C, H, W) batches, tensors or arrays, or of tuples that start with
            one, as the (image, label) pairs of a DataLoader; labels are ignored. What can be iterated
            only once is kept in memory.

    Raises:
        ArgumentError: if there is no image, a batch isn't 4-dimensional, or holds NaN or infinity.
    """

    def __init__(self, batches: Iterable[Any]):
        if isinstance(batches, (np.ndarray, paddle.Tensor)):
            batches = [batches]
        self._batches = list(batches) if iter(batches) is batches else batches
        self.count = sum(len(batch) for batch in self)
        if not self.count:
            raise ArgumentError("calibration is empty: give some images, 256 if you have them")

    def __iter__(self) -> Iterator[np.ndarray]:
        """The images, in batches of at most `BATCH_PIXELS` (or one image)."""
        for index, batch in enumerate(self._batches):
            images = _checked(batch, index)
            _, *axes = images.shape
            pixels = int(np.prod(axes)) // max(1, min(axes))  # the channels are the smallest axis
            size = max(1, BATCH_PIXELS // max(1, pixels))
            for start in range(0, len(images), size):
                yield images[start : start + size]

    def first(self) -> np.ndarray:
        """One image, as a batch."""
        return next(batch for batch in self if len(batch))[:1]


def _checked(batch: Any, index: int) -> np.ndarray:
    if isinstance(batch, (tuple, list)) and len(batch):
        batch = batch[0]
    if isinstance(batch, paddle.Tensor):
        batch = batch.astype("float32").numpy()
    try:
        array = np.asarray(batch)
        array = array if array.dtype == np.float64 else array.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"calibration batch {index} is a {type(batch).__name__}, not an array of images"
        ) from error
    if array.ndim != 4:
        shape = "x".join(map(str, array.shape)) or "scalar"
        raise ArgumentError(f"calibration batch {index} is {shape}; it must be (images, channels, H, W)")
    if not np.isfinite(array).all():
        raise ArgumentError(f"calibration batch {index} holds NaN or infinity; leave those images out")
    return array
