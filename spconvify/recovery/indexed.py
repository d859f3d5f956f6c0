"""Training images that can be taken in any order, and how items become a batch."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from spconvify.errors import ArgumentError
from spconvify.recovery.arrays import as_array


class Indexed:
    """Images that can be taken in any order: arrays, or a map-style dataset."""

    def __init__(self, images: Any, *behind: Any):
        self.images, self._behind = images, behind

    @property
    def behind(self) -> Any:
        """Labels, or all that stands behind the images; None where nothing does."""
        return self._behind if len(self._behind) > 1 else next(iter(self._behind), None)

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: np.ndarray) -> Any:
        """A batch of these, with what goes with them, labels for one, behind it."""
        if isinstance(self.images, np.ndarray):
            return tuple(array[rows] for array in (self.images, *self._behind))
        items = [self.images[int(row)] for row in rows]
        if isinstance(items[0], Mapping):
            return _collated(items)
        if not isinstance(items[0], (tuple, list)):
            return (_stacked(items), None)
        if isinstance(items[0][0], Mapping):
            return (_collated([item[0] for item in items]), _labels([item[1] for item in items]))
        images, *behind = zip(*items)
        labels = [_labels(list(behind[0]))] if behind else []
        return (_stacked(list(images)), *labels, *map(_if_arrays, behind[1:]))


def _collated(items: list[Any]) -> Any:
    """Dictionaries of one image each as one of a batch; what is no number is left out."""
    first = items[0]
    if isinstance(first, Mapping):
        found = {key: _collated([item[key] for item in items]) for key in first}
        return {key: value for key, value in found.items() if value is not None}
    if isinstance(first, (str, bytes)) or first is None:
        return None
    return _stacked(items)


def _stacked(values: list[Any]) -> np.ndarray:
    arrays = [as_array(value, "the training data") for value in values]
    if len({array.shape for array in arrays}) > 1:
        one, other = sorted({array.shape for array in arrays})[:2]
        raise ArgumentError(
            f"the training data holds items of several shapes, as {list(one)} and {list(other)}, which "
            "don't make a batch; bring them to one size"
        )
    return np.stack(arrays)


def _if_arrays(values: Any) -> Any:
    """What else a dataset gives for each image; None for what makes no array, as boxes or names."""
    with contextlib.suppress(ArgumentError):
        return _labels(list(values))
    return None


def _labels(values: list[Any]) -> np.ndarray:
    """(N,) or (N, ...); of several shapes, as boxes are, they are nothing that label_weight takes."""
    arrays = [as_array(value, "the labels of the training data") for value in values]
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    if all(array.size == 1 for array in arrays):
        return np.concatenate([array.reshape(-1) for array in arrays])
    labels = np.empty(len(arrays), object)
    labels[:] = arrays
    return labels
