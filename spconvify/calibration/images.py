"""Calibration images: whatever the caller has, checked once, as float batches."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import paddle

from spconvify.calibration.structured import around, in_form
from spconvify.data.inputs import check_floats, check_unmasked
from spconvify.errors import ArgumentError
from spconvify.network.batches import pictures_in, shape_of, size_of, taken
from spconvify.network.inputs import Inputs

# Activations of both networks are alive at once, so memory grows with the pixels in a batch: 8 images
# of 224x224 keep VGG-16 well under 4 GB.
BATCH_PIXELS = 8 * 224 * 224
FEWEST_TO_SPLIT = 4
_COMPARED = 4  # batches of two passes
LARGEST = 1e15  # what no image holds; squares and sums of larger values leave the range of float32


class CalibrationImages:
    """Image batches that can be gone through again and again, in the same form and order every time.

    Args:
        batches: an iterable of (N, C, H, W) batches, tensors or arrays, or of tuples that start with
            one, as the (image, label) pairs of a DataLoader; labels are ignored. They are the network's
            input: floats, scaled and normalised as in training; nothing is done to them. What can be
            iterated only once, or comes in another order the second time, is kept in memory. Of a
            network with several inputs dictionaries, or tuples of all of them; pictures alone get the
            rest from `like`.
        model: the network, for how its forward takes a dictionary.
        like: its inputs, for the same, and for what pictures alone lack.

    Raises:
        ArgumentError: if there is nothing to go through or no image, a batch isn't 4-dimensional, is of
            integers, or holds NaN, infinity or values beyond `LARGEST`.
    """

    def __init__(self, batches: Iterable[Any], model: Any = None, like: Inputs | None = None):
        self._model, self._like = model, like
        if isinstance(batches, (np.ndarray, paddle.Tensor, Inputs)):
            batches = [batches]
        if not _iterable(batches):
            raise ArgumentError(
                f"calibration is of type {type(batches).__name__}; give batches of images as arrays "
                "(images, channels, H, W)"
            )
        self._batches = list(batches) if iter(batches) is batches else batches
        self._chosen: np.ndarray | None = None  # which of the images, by number; None: all
        self.count = sum(map(size_of, self))
        if not self.count:
            raise ArgumentError("calibration is empty: give some images, 256 if you have them")
        self._in_order = isinstance(self._batches, (list, tuple)) or self._same_again()
        if not self._in_order:
            # Without a look at their number, which the loader of an IterableDataset refuses to tell.
            self._batches = list(islice(self._batches, None))
            self.count = sum(map(size_of, self))

    @classmethod
    def of(cls, batches: Any, model: Any = None, like: Inputs | None = None) -> CalibrationImages:
        """`batches` as such images; what is some already is taken as it is, without another pass."""
        return batches if isinstance(batches, cls) else cls(batches, model, like)

    @property
    def pictures(self) -> Iterator[np.ndarray]:
        """The pictures alone, batch by batch; nothing where it can't be told what is one."""
        with contextlib.suppress(ArgumentError):
            yield from map(pictures_in, self)

    @property
    def beside(self) -> Inputs | None:
        """What goes with the first picture, where the network takes more than that."""
        first = self.first()
        return first if isinstance(first, Inputs) else None

    def check_in_order(self, name: str) -> None:
        """Refuse images to which nothing that lies beside them belongs, such as labels.

        Raises:
            ArgumentError: if another pass gave others; `name` names them.
        """
        if not self._in_order:
            raise ArgumentError(
                f"the images of {name} are others each time that they are gone through, as of a "
                "DataLoader that shuffles, so that no labels belong to them; give them in one order"
            )

    def _same_again(self) -> bool:
        """Whether another pass starts as this one: a DataLoader may shuffle, or draw augmentations."""
        passes = zip(islice(self, _COMPARED), islice(self, _COMPARED))
        return all(_equal(first, second) for first, second in passes)

    def split(self, seed: int = 0) -> tuple[CalibrationImages, CalibrationImages | None]:
        """(images to fit to, images left out): a seeded quarter, of four images or more.

        With fewer nothing is left out, and the second is None.

        Raises:
            ArgumentError: for a seed that can't be one.
        """
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ArgumentError(f"seed {seed!r} isn't a whole number from 0 on")
        if self.count < FEWEST_TO_SPLIT:
            return self, None
        left_out = np.zeros(self.count, dtype=bool)
        order = np.random.default_rng(seed).permutation(self.count)
        left_out[order[: self.count // 4]] = True
        return self._part(~left_out), self._part(left_out)

    def halves(self, seed: int = 0) -> tuple[CalibrationImages, CalibrationImages]:
        """Every second image in a seeded order, and the others; both are all of them if there is one."""
        chosen = np.ones(self.count, dtype=bool) if self._chosen is None else self._chosen
        own = np.flatnonzero(chosen)
        if len(own) < 2:
            return self, self
        order = np.random.default_rng((seed, 1)).permutation(own)
        first, second = np.zeros_like(chosen), np.zeros_like(chosen)
        first[order[::2]], second[order[1::2]] = True, True
        return self._part(first), self._part(second)

    def _part(self, chosen: np.ndarray) -> CalibrationImages:
        part = copy.copy(self)
        part._chosen, part.count = chosen, int(chosen.sum())
        return part

    def __iter__(self) -> Iterator[Any]:
        """The images, in batches of at most `BATCH_PIXELS` (or one image)."""
        for batch in self._batches_read() if self._chosen is None else self._chosen_ones():
            _, *axes = shape_of(batch)
            pixels = int(np.prod(axes)) // max(1, min(axes, default=1))  # the channels are the smallest
            size = max(1, BATCH_PIXELS // max(1, pixels))
            for start in range(0, size_of(batch), size):
                yield taken(batch, slice(start, start + size))

    def _batches_read(self) -> Iterator[Any]:
        return (self._read(raw, index) for index, raw in enumerate(self._batches))

    def _chosen_ones(self) -> Iterator[Any]:
        """Of pictures alone as many in a batch as the caller has: every pass has its price."""
        assert self._chosen is not None, "all of them need no choice"
        first, largest = 0, 0
        waiting: list[np.ndarray] = []
        for batch in self._batches_read():
            count = size_of(batch)
            chosen = self._chosen[first : first + count]
            first, largest = first + count, max(largest, count)
            batch = taken(taken(batch, slice(len(chosen))), chosen)
            joins = isinstance(batch, np.ndarray) and (not waiting or _alike(waiting[0], batch))
            if waiting and not joins:
                yield np.concatenate(waiting)
                waiting = []
            if not isinstance(batch, np.ndarray):
                yield batch
                continue
            waiting.append(batch)
            while sum(map(len, waiting)) >= largest:
                together = np.concatenate(waiting)
                yield together[:largest]
                waiting = [together[largest:]]
        if waiting and sum(map(len, waiting)):
            yield np.concatenate(waiting)

    def _read(self, raw: Any, index: int) -> Any:
        where = f"calibration batch {index}"
        batch = in_form(raw, self._model, self._like, where)
        if batch is not None and not batch.is_plain:
            return batch
        alone = raw if batch is None else batch.first.array()
        return around(_checked(alone, index, self._like), self._like, where)

    def first(self, count: int = 1) -> Any:
        """One image, or the first ones of a batch that has so many, as a batch."""
        return taken(next(batch for batch in self if size_of(batch)), slice(count))


def _alike(first: np.ndarray, second: np.ndarray) -> bool:
    return first.shape[1:] == second.shape[1:] and first.dtype == second.dtype


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    ours, theirs = first.feeds(), second.feeds()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[k], theirs[k]) for k in ours)


def _iterable(batches: Any) -> bool:
    """Text, and a mapping's keys, can be gone through too, but hold no images."""
    try:
        iter(batches)  # not isinstance: anything with __getitem__ will do
    except TypeError:
        return False
    return not isinstance(batches, (str, bytes, Mapping))


def _checked(batch: Any, index: int, like: Inputs | None = None) -> np.ndarray:
    axes = len(like.first.shape) if like is not None and like.is_plain else 4
    if isinstance(batch, (tuple, list)) and len(batch):
        batch = batch[0]
    if isinstance(batch, paddle.Tensor):
        batch = batch.astype("float32").numpy() if "float" in str(batch.dtype) else batch.numpy()
    check_unmasked(batch, f"calibration batch {index}")
    try:
        array = np.asarray(batch)
        if array.ndim < 2 and array.dtype.kind in "biu":  # labels, mostly, which aren't pixels either
            raise ArgumentError(_not_images(array, index))
        check_floats(array, f"calibration batch {index}")
        array = array if array.dtype == np.float64 else array.astype(np.float32)
    except ArgumentError:
        raise
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"calibration batch {index} is a {type(batch).__name__}, not an array of images"
        ) from error
    if array.ndim != max(axes, 4):
        raise ArgumentError(_not_images(array, index))
    if not np.isfinite(array).all():
        raise ArgumentError(f"calibration batch {index} holds NaN or infinity; leave those images out")
    largest = float(np.abs(array).max(initial=0.0))
    if largest > LARGEST:
        raise ArgumentError(
            f"calibration batch {index} holds values up to {largest:.1e}, which no picture does; "
            "check how it is scaled"
        )
    return array


def _not_images(array: np.ndarray, index: int) -> str:
    shape = "x".join(map(str, array.shape)) or "scalar"
    return f"calibration batch {index} is {shape}; it must be (images, channels, H, W)"
