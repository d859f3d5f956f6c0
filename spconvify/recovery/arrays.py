"""Images and labels out of what people hand over: a pair of them, or two batches of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from spconvify.data.inputs import check_unmasked
from spconvify.errors import ArgumentError


def as_pair(data: Any, name: str = "the training data") -> tuple[np.ndarray, np.ndarray] | None:
    """Images (N, C, H, W) and their labels (N, ...); None for two batches, or anything else.

    Raises:
        ArgumentError: if there are more of the ones than of the others, or some are masked.
    """
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        return None
    arrays = (np.ndarray, paddle.Tensor)
    of_numbers = isinstance(data[1], (tuple, list)) and not any(hasattr(p, "shape") for p in data[1])
    if not isinstance(data[0], arrays) or not (isinstance(data[1], arrays) or of_numbers):
        return None
    images, labels = (as_array(part, name) for part in data)
    if images.ndim != 4 or _are_images_too(labels, images):
        return None
    if labels.shape[:1] != (len(images),):
        if labels.ndim > 2:
            return None
        raise ArgumentError(f"{len(images)} images and {labels.size} labels; give one for each image")
    return images, labels


def as_several(data: Any, name: str = "the training data") -> list[np.ndarray] | None:
    """Images (N, C, H, W) and what goes with them, three arrays or more; None for batches of images.

    Raises:
        ArgumentError: if one has another number of rows, or is masked.
    """
    if not isinstance(data, (tuple, list)) or len(data) < 3:
        return None
    if not all(isinstance(part, (np.ndarray, paddle.Tensor)) for part in data):
        return None
    if len(data[0].shape) != 4 or all(len(part.shape) == 4 for part in data):
        return None
    found = [as_array(part, name) for part in data]
    if any(array.shape[:1] != (len(found[0]),) for array in found):
        listed = " and ".join("x".join(map(str, array.shape)) or "a scalar" for array in found)
        raise ArgumentError(f"{name}: arrays of {listed} don't have a row for each image")
    return found


def _are_images_too(labels: np.ndarray, images: np.ndarray) -> bool:
    """Whether these are a second batch and no labels: of the same shape, or floats of another size."""
    if labels.shape[1:] == images.shape[1:]:
        return True
    both = labels.ndim == 4 and labels.dtype.kind == images.dtype.kind == "f"
    return both and _channels(labels) == _channels(images)


def _channels(images: np.ndarray) -> tuple[int, int]:
    """Their axis, the smallest one, and how many there are."""
    sizes = images.shape[1:]
    return sizes.index(min(sizes)), min(sizes)


def as_array(value: Any, where: str) -> np.ndarray:
    """A tensor, an array or numbers as an array; refused if it is masked, `where` names it."""
    check_unmasked(value, where)
    if isinstance(value, paddle.Tensor):
        value = value.astype("float32").numpy() if "float" in str(value.dtype) else value.numpy()
    try:
        return np.asarray(value)
    except ValueError as error:  # lists of several lengths
        raise ArgumentError(
            f"{where}: parts of it are of several shapes, which makes no array"
        ) from error


def length_of(data: Any) -> int | None:
    """How many parts it has, if it tells."""
    try:
        return len(data)
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ):  # the last two of Paddle's IterableDataset and its loader
        return None
