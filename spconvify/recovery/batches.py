"""Training data: whatever the caller has, as an endless, checked and repeatable row of batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Optional

import numpy as np
import paddle

from spconvify.calibration.structured import around, in_form, labels_behind
from spconvify.data.inputs import check_floats
from spconvify.errors import ArgumentError
from spconvify.network.batches import pictures_in, pictures_of, shape_of, taken, with_pictures
from spconvify.network.inputs import Inputs
from spconvify.recovery.arrays import as_array, as_pair, as_several, length_of
from spconvify.recovery.fingerprint import checksum, of_augment, of_batches, of_dataset
from spconvify.recovery.indexed import Indexed

# images (N, C, H, W) of a batch, and a random generator of the step -> images of the same shape
Augment = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Batch(NamedTuple):
    """Images (N, C, H, W), or `Inputs` where the network takes more; labels (N,) or None."""

    images: Any
    labels: Optional[np.ndarray]


class Form(NamedTuple):
    """How a network takes what is in a batch: the network, and its inputs if they are known."""

    model: Any = None
    like: Optional[Inputs] = None


NO_FORM = Form()


class Batches:
    """The batches of a training run, by epoch; the same ones for the same seed.

    Args:
        data: an array of images (N, C, H, W), a pair (images, labels) of arrays, a tuple of all that
            the network takes, with or without labels behind it, or a ``paddle.io.Dataset`` of images
            or such tuples of one image: these are shuffled anew every epoch
            and cut into batches of `batch_size`. Or any iterable of batches that can be gone through
            again, as a ``paddle.io.DataLoader``: it is taken as it comes, epoch after epoch.
        batch_size: images in a batch.
        seed: of the order and of the augmentation.
        augment: changes the images of a batch.
        form: what the network takes; it may be known later only.

    Raises:
        ArgumentError: if there is no image in it, it can be gone through only once, or `augment` is no
            function.
    """

    def __init__(
        self,
        data: Any,
        batch_size: int,
        seed: int = 0,
        augment: Augment | None = None,
        form: Form = NO_FORM,
    ) -> None:
        if augment is not None and not callable(augment):
            raise ArgumentError(
                f"augment {augment!r} isn't a function of the images and a random generator; None "
                "leaves the images as they are"
            )
        self.form = form
        self._data, self._size, self._seed, self._augment = _source(data), batch_size, seed, augment
        if isinstance(self._data, Indexed):
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
        if isinstance(self._data, Indexed):
            return len(self._data) // self._size
        length = length_of(self._data)
        if length is None:
            raise ArgumentError("the training data has no length: give steps, not epochs")
        return length

    def describe(self) -> str:
        """What a run's checkpoint remembers of its data and labels."""
        if not isinstance(self._data, Indexed):
            return of_batches(self._data)
        if not isinstance(self._data.images, np.ndarray):
            return of_dataset(self._data.images)
        text = f"{len(self._data)} images ({checksum(self._data.images):08x})"
        labels = self._data.behind
        return text if labels is None else f"{text} with labels ({checksum(labels):08x})"

    def describe_beside(self) -> str:
        """What a run's checkpoint remembers of what pictures alone lack: the example's other inputs.

        "" where there is none, or the data holds everything.
        """
        like, raw = self.form.like, next(self._endless(0))
        if like is None or like.is_plain or in_form(raw, self.form.model, like, "") is not None:
            return ""
        batch = taken(self.first().images, slice(1))
        assert isinstance(batch, Inputs)  # `checked` puts them around the pictures
        own = pictures_of(batch).name
        others = {name: tensor for name, tensor in batch.tensors.items() if name != own}
        return f"{checksum({name: tensor.array() for name, tensor in others.items()}):08x}"

    def describe_augmentation(self) -> str:
        """What a run's checkpoint remembers of it."""
        return of_augment(self._augment, shape_of(self.first().images), self._seed)

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
            batch = checked(raw, number, form=self.form)
            if self._augment is not None:
                random = np.random.default_rng((self._seed, number))
                images = self._augment(pictures_in(batch.images), random)
                is_alone = isinstance(batch.images, np.ndarray)
                whole = images if is_alone else with_pictures(batch.images, images)
                batch = Batch(whole, batch.labels)
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
        if not isinstance(self._data, Indexed):
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


def _source(data: Any) -> Any:
    if isinstance(data, (np.ndarray, paddle.Tensor)):
        return Indexed(as_array(data, "the training data"))
    found = as_pair(data) or as_several(data)
    if found is not None:
        return Indexed(*found)
    if isinstance(data, paddle.io.Dataset) and not isinstance(data, paddle.io.IterableDataset):
        return Indexed(data)
    if not hasattr(data, "__iter__"):
        raise ArgumentError(f"the training data is a {type(data).__name__}, not batches of images")
    if iter(data) is data:
        raise ArgumentError(
            f"the training data is a {type(data).__name__}, which can be gone through only once; "
            "give a list, a DataLoader or an array"
        )
    return data


def checked(raw: Any, number: int, name: str = "the training data", form: Form = NO_FORM) -> Batch:
    """A batch as arrays.

    Raises:
        ArgumentError: if it isn't images (N, C, H, W), with or without labels, all of them finite.
    """
    where = f"{name}: batch {number}"
    whole = in_form(raw, form.model, form.like, where)
    behind = labels_behind(raw, whole)
    labels = None if behind is None else _one_each(as_array(behind, f"{where}: labels"))
    if whole is not None and not whole.is_plain:
        return Batch(whole, labels)
    if whole is not None:
        raw = whole.first.array()
    elif isinstance(raw, (tuple, list)) and raw:
        raw = raw[0]
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
    return Batch(around(images, form.like, where), labels)


def _one_each(labels: np.ndarray) -> np.ndarray:
    """(N, 1) as (N,)."""
    return labels.reshape(-1) if labels.shape[1:] == (1,) else labels
