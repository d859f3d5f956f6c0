"""Training data: whatever the caller has, as an endless, checked and repeatable row of batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import paddle

from spconvify.data.inputs import check_floats
from spconvify.errors import ArgumentError
from spconvify.recovery.arrays import as_array, as_pair, length_of
from spconvify.recovery.fingerprint import checksum, of_augment, of_batches, of_dataset

# images (N, C, H, W) of a batch, and a random generator of the step -> images of the same shape
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Batch(NamedTuple):
    """Images (N, C, H, W), labels (N,) or None."""

    images: np.ndarray
    labels: Optional[np.ndarray]


class Batches:
    """The batches of a training run, by epoch; the same ones for the same seed.

    Args:
        data: an array of images (N, C, H, W), a pair (images, labels) of arrays, or a
            ``paddle.io.Dataset`` of images or (image, label) pairs: these are shuffled anew every epoch
            and cut into batches of `batch_size`. Or any iterable of batches that can be gone through
            again, as a ``paddle.io.DataLoader``: it is taken as it comes, epoch after epoch.
        batch_size: images in a batch.
        seed: of the order and of the augmentation.
        augment: changes the images of a batch.

    Raises:
        ArgumentError: if there is no image in it, or it can be gone through only once.
    """

    def __init__(
        self, data: Any, batch_size: int, seed: int = 0, augment: Augment | None = None
    ) -> None:
        self._data, self._size, self._seed, self._augment = _source(data), batch_size, seed, augment
        if isinstance(self._data, _Indexed):
            if batch_size < 1:
                raise ArgumentError(f"batch_size {batch_size} is less than 1")
            if not len(self._data):
                raise ArgumentError("the training data is empty: it holds no image")
            self._size = min(batch_size, len(self._data))

    def per_epoch(self) -> int:
        """Batches in an epoch.

        Raises:
            ArgumentError: if the data doesn't tell its length.
        """
        if isinstance(self._data, _Indexed):
            return len(self._data) // self._size
        length = length_of(self._data)
        if length is None:
            raise ArgumentError("the training data has no length: give steps, not epochs")
        return length

    def describe(self) -> str:
        """What a run's checkpoint remembers of its data and labels."""
        if not isinstance(self._data, _Indexed):
            return of_batches(self._data)
        if not isinstance(self._data.images, np.ndarray):
            return of_dataset(self._data.images)
        text = f"{len(self._data)} images ({checksum(self._data.images):08x})"
        labels = self._data.labels
        return text if labels is None else f"{text} with labels ({checksum(labels):08x})"

    def describe_augmentation(self) -> str:
        """What a run's checkpoint remembers of it."""
        return of_augment(self._augment, self.first().images.shape, self._seed)

    def first(self) -> Batch:
        """The first batch, as the first step sees it."""
        return next(self.starting_at(0))

    def starting_at(self, step: int) -> Iterator[Batch]:
        """The batches of step `step` and all later ones; what comes before it is passed over.

        Raises:
            ArgumentError: for a batch that isn't one; it names its number.
        """
        for number, raw in enumerate(self._endless(step)):
            if number < step:
                continue
            batch = checked(raw, number)
            if self._augment is not None:
                random = np.random.default_rng((self._seed, number))
                batch = Batch(self._augment(batch.images, random), batch.labels)
            yield batch

    def _endless(self, step: int) -> Iterator[Any]:
        epoch = 0
        while True:
            empty = True
            for raw in self._epoch(epoch, step):
                empty = False
                yield raw
            if empty:
                raise ArgumentError(
                    "the training data gives no batch"
                    + ("" if epoch == 0 else f" in epoch {epoch + 1}: it must allow several passes")
                )
            epoch += 1

    def _epoch(self, epoch: int, step: int) -> Iterator[Any]:
        if not isinstance(self._data, _Indexed):
            length = length_of(self._data) or 0
            passed_over = length and (epoch + 1) * length <= step
            yield from [None] * length if passed_over else self._data
            return
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self._data))
        batches = len(self._data) // self._size
        for index in range(batches):
            wanted = epoch * batches + index >= step  # what is passed over isn't read
            rows = order[index * self._size : (index + 1) * self._size]
            yield self._data.take(rows) if wanted else None


class _Indexed:
    """Images that can be taken in any order: arrays, or a map-style dataset."""

    def __init__(self, images: Any, labels: Any = None):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def take(self, rows: np.ndarray) -> Any:
        if isinstance(self.images, np.ndarray):
            labels = None if self.labels is None else self.labels[rows]
            return (self.images[rows], labels)
        items = [self.images[int(row)] for row in rows]
        if not isinstance(items[0], (tuple, list)):
            return (_stacked(items), None)
        labels = _labels([item[1] for item in items]) if len(items[0]) > 1 else None
        return (_stacked([item[0] for item in items]), labels)


def _stacked(values: list[Any]) -> np.ndarray:
    arrays = [as_array(value, "the training data") for value in values]
    if len({array.shape for array in arrays}) > 1:
        one, other = sorted({array.shape for array in arrays})[:2]
        raise ArgumentError(
            f"the training data holds items of several shapes, as {list(one)} and {list(other)}, which "
            "don't make a batch; bring them to one size"
        )
    return np.stack(arrays)


def _labels(values: list[Any]) -> np.ndarray:
    """(N,) or (N, ...); of several shapes, as boxes are, they are nothing that label_weight takes."""
    arrays = [as_array(value, "the labels of the training data") for value in values]
    if all(array.size == 1 for array in arrays):
        return np.concatenate([array.reshape(-1) for array in arrays])
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    labels = np.empty(len(arrays), object)
    labels[:] = arrays
    return labels


def _source(data: Any) -> Any:
    if isinstance(data, (np.ndarray, paddle.Tensor)):
        return _Indexed(as_array(data, "the training data"))
    pair = as_pair(data)
    if pair is not None:
        return _Indexed(*pair)
    if isinstance(data, paddle.io.Dataset) and not isinstance(data, paddle.io.IterableDataset):
        return _Indexed(data)
    if not hasattr(data, "__iter__"):
        raise ArgumentError(f"the training data is a {type(data).__name__}, not batches of images")
    if iter(data) is data:
        raise ArgumentError(
            f"the training data is a {type(data).__name__}, which can be gone through only once; "
            "give a list, a DataLoader or an array"
        )
    return data


def checked(raw: Any, number: int, name: str = "the training data") -> Batch:
    """A batch as arrays.

    Raises:
        ArgumentError: if it isn't images (N, C, H, W), with or without labels, all of them finite.
    """
    labels = None
    if isinstance(raw, (tuple, list)) and raw:
        labels = raw[1] if len(raw) > 1 else None
        raw = raw[0]
    where = f"{name}: batch {number}"
    try:
        images = as_array(raw, where)
        check_floats(images, where)
        images = images.astype(np.float32)
    except ArgumentError:
        raise
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"{where} is a {type(raw).__name__}, not an array of images") from error
    if images.ndim != 4 or not len(images):
        shape = "x".join(map(str, images.shape)) or "a scalar"
        raise ArgumentError(f"{where} is {shape}; it must be (images, channels, H, W)")
    if not np.isfinite(images).all():
        raise ArgumentError(f"{where} holds NaN or infinity; leave those images out")
    return Batch(images, None if labels is None else as_array(labels, f"{where}: labels"))
