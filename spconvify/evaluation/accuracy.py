"""Top-1 accuracy of a network on labelled images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.labels import check_labels
from spconvify.network.outputs import flatten
from spconvify.network.run import run, trying
from spconvify.progress import Progress, nothing


def top1(
    model: nn.Layer,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int = 250,
    progress: Progress = nothing,
) -> float:
    """Share of the images (N, C, H, W) whose largest logit is their label (N,), in per cent.

    Of a network with several outputs (N, K) the first one counts. It runs in eval mode and comes back
    in its own.

    Raises:
        ArgumentError: if the network doesn't run on the images or gives no such output, there aren't as
            many labels, or one can't be.
    """
    labels = check_labels(labels, len(images), "labels")
    right = 0
    with trying(model):
        for start in range(0, len(images), batch_size):
            batch = paddle.to_tensor(images[start : start + batch_size])
            logits, own = _scores(flatten(run(model, batch))), labels[start : start + batch_size]
            check_labels(own, len(batch), "labels", logits.shape[1], start)
            found = logits.argmax(axis=1)
            right += int((found == own).sum())
            progress(start + len(found), len(images))
    return 100.0 * right / len(images)


def _scores(outputs: Mapping[str, paddle.Tensor]) -> np.ndarray:
    """Scores of classes (N, K): the first output that can be some, of each image."""
    for tensor in outputs.values():
        if len(tensor.shape) == 2 and tensor.shape[1] > 1 and "float" in str(tensor.dtype):
            return tensor.astype("float32").numpy()
    shapes = ", ".join(str(list(tensor.shape)) for tensor in outputs.values()) or "no tensor"
    raise ArgumentError(
        f"top-1 accuracy needs scores of classes (N, K), and the network gives {shapes}; "
        "leave the labelled images out"
    )
