"""Top-1 accuracy during a recovery, shared out over the processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.accuracy import top1
from spconvify.evaluation.labels import check_labels
from spconvify.evaluation.scores import Scores
from spconvify.network.batches import size_of
from spconvify.recovery.arrays import as_pair
from spconvify.recovery.batches import NO_FORM, Form, checked
from spconvify.recovery.fingerprint import of_batches
from spconvify.recovery.processes import Processes

_BATCH_SIZE = 250


class Evaluation:
    """Labelled images that accuracy is measured on.

    Args:
        data: a pair of arrays, images (N, C, H, W) and labels (N,); or an iterable of (images, labels)
            batches that can be gone through again.
        processes: each takes its share of the batches.
        form: what the network takes.

    Raises:
        ArgumentError: if there are no labels.
    """

    def __init__(self, data: Any, processes: Processes, form: Form = NO_FORM):
        self._form = form
        self._data, self._processes = _as_batches(data), processes
        pair = as_pair(data, "eval_data")
        self._labels = None if pair is None else pair[1]  # of all batches, where they are known
        self._scores: Scores | None = None

    def describe(self) -> str:
        """What a run's checkpoint remembers of it."""
        return of_batches(self._data)

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


def _as_batches(data: Any) -> Iterable[Any]:
    pair = as_pair(data, "eval_data")
    if pair is not None:
        images, labels = pair
        starts = range(0, len(images), _BATCH_SIZE)
        return [(images[i : i + _BATCH_SIZE], labels[i : i + _BATCH_SIZE]) for i in starts]
    if not hasattr(data, "__iter__") or iter(data) is data:
        raise ArgumentError(
            f"eval_data is a {type(data).__name__}; give a pair (images, labels) of arrays, or a "
            "DataLoader of such pairs"
        )
    return data
