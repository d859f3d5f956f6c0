"""Top-1 accuracy during a recovery, shared out over the processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError
from spconvify.evaluation.accuracy import top1
from spconvify.evaluation.labels import check_labels
from spconvify.evaluation.scores import Scores
from spconvify.network.batches import Batch, joined, size_of, taken
from spconvify.recovery.arrays import as_array, as_pair
from spconvify.recovery.batches import NO_FORM, Form, checked
from spconvify.recovery.fingerprint import of_batches
from spconvify.recovery.processes import Processes

_BATCH_SIZE = 250


class Evaluation:
    """Labelled images that accuracy is measured on.

    Args:
        data: a pair, images (N, C, H, W) and labels (N,), the images in one array, in batches, or with
            what else the network takes; or an iterable of (images, labels) batches that can be gone
            through again.
        processes: each takes its share of the batches.
        form: what the network takes.

    Raises:
        ArgumentError: if there are no labels.
    """

    def __init__(self, data: Any, processes: Processes, form: Form = NO_FORM):
        self._form = form
        pair = as_pair(data, "eval_data") or _in_parts(data, form)
        self._data, self._processes = _as_batches(data) if pair is None else _cut(*pair), processes
        self._labels = None if pair is None else np.asarray(pair[1])  # of all batches, where known
        self._scores: Scores | None = None

    def describe(self) -> str:
        """What a run's checkpoint remembers of it."""
        return of_batches(self._data)

    def first(self) -> Batch:
        """Images of the first batch, which may be all that there are."""
        for batch in self._data:
            return checked(batch, 0, "eval_data", self._form).images
        raise ArgumentError("eval_data is empty: it holds no image")

    def top1(self, student: nn.Layer) -> float:
        """In per cent."""
        right, total = 0.0, 0.0
        for index, batch in enumerate(self._data):
            images, labels = checked(batch, index, "eval_data", self._form)
            if labels is None:
                raise ArgumentError(f"eval_data: batch {index} has no labels, and accuracy needs them")
            labels = check_labels(labels, size_of(images), f"eval_data: batch {index}")
            if self._scores is None:
                everyone = labels if self._labels is None else self._labels
                self._scores = Scores(int(everyone[np.isfinite(everyone)].max(initial=0)))
            if index % self._processes.count == self._processes.rank:
                right += top1(student, images, labels, scores=self._scores) * size_of(images)
                total += size_of(images)
        right, total = self._processes.sum([right, total])
        if not total:
            raise ArgumentError("eval_data is empty: it holds no image")
        return right / total


def _in_parts(data: Any, form: Form) -> tuple[Batch, np.ndarray] | None:
    """Images in batches, or dictionaries and tuples of all that the network takes, and the labels of
    all; None for batches of both."""
    if not isinstance(data, (tuple, list)) or len(data) != 2 or not _numbers(data[1]):
        return None
    given, labels = data[0], as_array(data[1], "eval_data: labels")
    if labels.ndim > 2 or isinstance(given, (np.ndarray, paddle.Tensor)):
        return None
    whole = isinstance(given, Mapping) or (
        isinstance(given, tuple) and any(getattr(part, "ndim", 4) != 4 for part in given)
    )
    images = CalibrationImages([given] if whole else given, form.model, form.like)
    images.check_in_order("eval_data")
    return joined(list(images)), labels


def _numbers(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(isinstance(part, (int, float, np.number)) for part in value)
    return isinstance(value, (np.ndarray, paddle.Tensor))


def _cut(images: Batch, labels: np.ndarray) -> list[tuple[Batch, np.ndarray]]:
    """Both in batches.

    Raises:
        ArgumentError: if there isn't a label for each image.
    """
    labels = check_labels(labels, size_of(images), "eval_data")
    starts = range(0, len(labels), _BATCH_SIZE)
    return [(taken(images, slice(i, i + _BATCH_SIZE)), labels[i : i + _BATCH_SIZE]) for i in starts]


def _as_batches(data: Any) -> Iterable[Any]:
    if not hasattr(data, "__iter__") or iter(data) is data:
        raise ArgumentError(
            f"eval_data is a {type(data).__name__}; give a pair (images, labels) of arrays, or a "
            "DataLoader of such pairs"
        )
    return data
