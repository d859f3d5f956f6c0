"""Top-1 accuracy of a network on labelled images."""

from __future__ import annotations

import numpy as np
from paddle import nn

from spconvify.caution import warn
from spconvify.evaluation.labels import check_labels
from spconvify.evaluation.scores import AccuracyWarning, Scores
from spconvify.network.batches import Batch, as_given, size_of, taken
from spconvify.network.outputs import flatten
from spconvify.network.run import run, trying
from spconvify.progress import Progress, nothing


def top1(
    model: nn.Layer,
    images: Batch,
    labels: np.ndarray,
    batch_size: int = 250,
    progress: Progress = nothing,
    scores: Scores | None = None,
) -> float:
    """Share of the images (N, C, H, W) whose largest logit is their label (N,), in per cent.

    Of several outputs (N, K) the one counts whose name and number of classes fit. An image whose scores
    aren't all numbers (NaN) counts as wrong. The network runs in eval mode, in its own dtype, and comes
    back in its own mode.

    Args:
        model: the network.
        images: as the network takes them; `Inputs` where it takes more than pictures.
        labels: one for each.
        batch_size: images in one run.
        progress: called with (done, total).
        scores: finds the output that counts, where these images are a part of more.

    Raises:
        ArgumentError: if the network doesn't run on the images, there aren't as many labels, one can't
            be, or no output, or none of several, can be told to be scores of classes.

    Warns:
        AccuracyWarning: says which of several outputs counts, and of how many images scores are NaN.
    """
    count = size_of(images)
    labels = check_labels(labels, count, "labels")
    scores = scores or Scores(int(labels.max(initial=0)))
    right = undefined = 0
    with trying(model):
        for start in range(0, count, batch_size):
            batch = taken(images, slice(start, start + batch_size))
            logits = scores.of(flatten(run(model, as_given(model, batch))), size_of(batch))
            own = labels[start : start + batch_size]
            check_labels(own, size_of(batch), "labels", logits.shape[1], start)
            numbers = ~np.isnan(logits).any(axis=1)
            right += int(((logits.argmax(axis=1) == own) & numbers).sum())
            undefined += int((~numbers).sum())
            progress(start + len(own), count)
    if undefined:
        warn(
            f"top-1 accuracy: the scores of {undefined} of {count} images hold NaN; these count "
            "as wrong",
            AccuracyWarning,
        )
    return 100.0 * right / count
