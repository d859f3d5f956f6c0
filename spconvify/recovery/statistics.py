"""The BatchNorms' statistics of a trained student: averaged over many batches at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import paddle
from paddle import nn

from spconvify.network.batches import Batch, feed
from spconvify.network.inputs import forward

# In training each batch moves the statistics by a tenth, so they are those of the last twenty or so
# batches: fewer than that at the end would be no better.
_LEAST = 20
_SHARE = 0.1  # of the training's steps; without gradients that is a few percent of its time


def batches_to_average(steps: int) -> int:
    """How many batches the statistics are averaged over after so many steps; 0 leaves them."""
    count = round(_SHARE * steps)
    return count if count >= _LEAST else 0


def average_statistics(student: nn.Layer, batches: Iterable[Batch]) -> None:
    """Set mean and variance of every BatchNorm that trains to the average over `batches`.

    The student is in training mode; no weight changes. A BatchNorm that keeps its statistics in
    training too (``use_global_stats``) keeps them here.
    """
    norms = [layer for layer in student.sublayers(include_self=True) if _is_averaging(layer)]
    momenta = [norm._momentum for norm in norms]
    try:
        with paddle.no_grad():
            for seen, images in enumerate(batches):
                for norm in norms:
                    norm._momentum = seen / (seen + 1.0)  # the mean of this batch and all before it
                forward(student, feed(student, images))
    finally:
        for norm, momentum in zip(norms, momenta):
            norm._momentum = momentum


def _is_averaging(layer: nn.Layer) -> bool:
    is_norm = hasattr(layer, "_momentum") and hasattr(layer, "_variance")
    return is_norm and layer.training and not getattr(layer, "_use_global_stats", False)


def statistics_of(student: nn.Layer) -> list[paddle.Tensor]:
    """What layers in training mode gather: floats that aren't learnt. Every process has seen others.

    A BatchNorm's statistics are parameters, for Paddle; its frozen weights stay as they are.
    """
    found: dict[int, Any] = {}
    for layer in student.sublayers(include_self=True):
        if layer.training:
            statistics = {key: layer._parameters.get(key) for key in ("_mean", "_variance")}
            gathered = [*layer._buffers.values(), *statistics.values()]
            found |= {id(tensor): tensor for tensor in gathered if tensor is not None}
    return [tensor for tensor in found.values() if "float" in str(tensor.dtype)]
