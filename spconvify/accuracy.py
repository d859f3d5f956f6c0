"""Top-1 accuracy of a network on labelled images."""

from __future__ import annotations

from typing import Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.failures import does_not_run
from spconvify.verify import evaluating


def top1(
    model: nn.Layer,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int = 250,
    progress: Callable[[int, int], None] | None = None,
) -> float:
    """Share of the images (N, C, H, W) whose largest logit is their label (N,), in per cent.

    Of a network with several outputs the first one counts. It runs in eval mode and comes back in its
    own.

    Raises:
        ArgumentError: if the network doesn't run on the images, or there aren't as many labels.
    """
    if len(images) != len(labels):
        raise ArgumentError(f"{len(images)} images and {len(labels)} labels")
    right = 0
    with evaluating(model), paddle.no_grad():
        for start in range(0, len(images), batch_size):
            batch = paddle.to_tensor(images[start : start + batch_size])
            try:
                logits = model(batch)
            except Exception as error:  # whatever the user's network raises
                raise does_not_run(batch.shape, error) from error
            logits = logits[0] if isinstance(logits, (list, tuple)) else logits
            found = logits.numpy().argmax(axis=-1)
            right += int((found == labels[start : start + batch_size]).sum())
            if progress is not None:
                progress(start + len(found), len(images))
    return 100.0 * right / len(images)
