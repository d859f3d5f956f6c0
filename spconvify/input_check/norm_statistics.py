"""What the first BatchNorms see on some images, against what they saw in training: no labels needed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from paddle import nn

from spconvify.network.batches import with_pictures
from spconvify.network.inputs import Inputs, forward
from spconvify.network.norms import to_float64
from spconvify.network.operations import following
from spconvify.network.run import trying

FIRST = 3  # BatchNorms that are looked at
_DEAD = 1e-3  # of the median variance: a filter that hardly gives anything says nothing
_WORST = 3.0  # most that one channel may count in a mean


class _Seen(BaseException):
    """The BatchNorm has been reached; the rest of the pass is of no use, and no network catches this."""


@dataclass(frozen=True)
class Distance:
    """How far apart the statistics are, over the channels: the divergence of two normal distributions.

    0 is equal; half or twice the variance gives 0.1 to 0.15, a mean that is one deviation off 0.5.
    `median` is that of the channels, `mean` counts each channel up to 3.
    """

    median: float
    mean: float


class NormProbe:
    """One trained BatchNorm of a network, and the way to it.

    Args:
        model: the network.
        norm: with statistics of a training.
        beside: what the network takes with pictures, if it takes more than them.
    """

    def __init__(self, model: nn.Layer, norm: Any, beside: Inputs | None = None):
        self._model, self._norm, self._beside = model, norm, beside
        self._mean, self._variance = to_float64(norm._mean), to_float64(norm._variance)
        self._alive = self._variance > _DEAD * np.median(self._variance)

    def moments(self, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of every living channel in front of the BatchNorm."""
        count, total, square = 0, np.zeros(len(self._mean)), np.zeros(len(self._mean))
        for batch in batches:
            seen = self._input(batch) - self._mean  # about it, so that no digits are lost
            count += len(seen)
            total, square = total + seen.sum(0), square + np.square(seen).sum(0)
        mean = total / max(count, 1)
        variance = np.maximum(square / max(count, 1) - mean**2, 0.0)
        return (mean + self._mean)[self._alive], variance[self._alive]

    def distance(self, batches: Iterable[np.ndarray]) -> Distance:
        """Of the images' statistics from the BatchNorm's own."""
        return self.distance_of(*self.moments(batches))

    def distance_of(self, mean: np.ndarray, variance: np.ndarray) -> Distance:
        """The same for moments that are known."""
        own, scale = self._mean[self._alive], self._variance[self._alive]
        ratio = np.maximum(variance / scale, 1e-12)
        each = 0.5 * (ratio - 1.0 - np.log(ratio) + np.square(mean - own) / scale)
        each = np.where(np.isfinite(each), each, np.inf)
        return Distance(float(np.median(each)), float(np.minimum(each, _WORST).mean()))

    def affine(self, batches: Sequence[np.ndarray]) -> tuple[float, float]:
        """(scale, shift) of the images' values with which mean and variance would fit best.

        Right where only linear operators stand in front of the BatchNorm.
        """
        mean, variance = self.moments(batches)
        zero, _ = self.moments([np.zeros_like(batch) for batch in batches])
        one, _ = self.moments([np.ones_like(batch) for batch in batches])
        own, own_variance = self._mean[self._alive], self._variance[self._alive]
        scale = float(np.sqrt(np.median(own_variance / np.maximum(variance, 1e-30))))
        weight, response = 1.0 / own_variance, one - zero
        wanted = own - zero - scale * (mean - zero)
        power = float(np.sum(weight * response**2))
        return scale, float(np.sum(weight * response * wanted)) / power if power > 0 else 0.0

    def _input(self, batch: np.ndarray) -> np.ndarray:
        """(positions, channels) in front of the BatchNorm, in float64."""
        seen: list[np.ndarray] = []

        def take(_norm: nn.Layer, given: Any) -> None:
            seen.append(to_float64(given))
            raise _Seen

        follow = following([self._norm], before=take)
        with contextlib.suppress(_Seen), trying(self._model), follow:
            forward(self._model, _around(batch, self._beside).sample(self._model))
        if not seen:
            return np.zeros((0, len(self._mean)))
        last = getattr(self._norm, "_data_format", "NCHW") in ("NHWC", "NLC")
        value = seen[0] if last else np.moveaxis(seen[0], 1, -1)
        return value.reshape(-1, value.shape[-1])


def first_norms(model: nn.Layer, image: np.ndarray, beside: Inputs | None = None) -> list[NormProbe]:
    """Probes for the first trained BatchNorms that an image (1, C, H, W) reaches, in their order."""
    reached: list[Any] = []

    def take(norm: Any, _inputs: Any) -> None:
        if all(norm is not other for other in reached):
            reached.append(norm)
        if len(reached) == FIRST:
            raise _Seen

    hooks = [n.register_forward_pre_hook(take) for n in model.sublayers(True) if _trained(n)]
    try:
        with trying(model):
            forward(model, _around(image, beside).sample(model))
    except _Seen:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return [NormProbe(model, norm, beside) for norm in reached]


def _around(batch: np.ndarray, beside: Inputs | None) -> Inputs:
    return Inputs.of(batch) if beside is None else with_pictures(beside, batch)


def _trained(layer: Any) -> bool:
    """Whether a layer is a BatchNorm whose statistics are those of a training, and are used."""
    if not hasattr(layer, "_variance") or not hasattr(layer, "_mean"):
        return False
    if getattr(layer, "_use_global_stats", None) is False:
        return False
    mean, variance = to_float64(layer._mean), to_float64(layer._variance)
    fresh = not mean.any() and bool((variance == 1.0).all())
    usable = np.isfinite(mean).all() and np.isfinite(variance).all() and variance.max(initial=0.0) > 0
    return not fresh and bool(usable)
