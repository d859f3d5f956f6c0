"""Ridge least squares for one SPConv: the best weights for a given split of the channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spconvify.calibration.moments import Geometry, Moments
from spconvify.calibration.windows import Windows
from spconvify.operators.spconv.cholesky import inverse_spd, solve_spd

# Of the features' mean variance. What the features can't explain is noise to the fit, which few images
# don't average out: so the ridge grows with the share that is missed, and vanishes where all is met.
LEAST_RIDGE = 1e-6
RIDGE = 1e-2


@dataclass(frozen=True)
class Fit:
    """Weights of an SPConv with fusion "sum", and how well they do.

    Shapes: gwc (L, r / groups, 3, 3), pwc (L, r, 1, 1), conv1x1 (L, C - r, 1, 1), bias (L,).
    `channels` is the order of the input channels; `error` the share of the targets' variance that is
    missed, outputs weighted by gain^2.
    """

    channels: list[int]
    gwc: np.ndarray
    pwc: np.ndarray
    conv1x1: np.ndarray
    bias: np.ndarray
    error: float


def usual_ridge(moments: Moments, prior: np.ndarray, ridge: float = RIDGE) -> float:
    """`ridge` x the share of the targets that is missed; what is enough for many rows."""
    weights, _ = Ridge(LEAST_RIDGE, prior).solved(moments)
    return max(LEAST_RIDGE, ridge * relative_error(moments, weights))


@dataclass(frozen=True)
class Ridge:
    """Keeps weights that the rows don't determine near `prior` (F, L), the copied ones.

    `strength` is in parts of the features' mean variance.
    """

    strength: float
    prior: np.ndarray

    def inverse(self, moments: Moments) -> np.ndarray:
        """Inverse of the Gram matrix with the ridge."""
        return inverse_spd(loaded(moments.gram.copy(), moments, self.strength))

    def solved(self, moments: Moments, *, least_norm: bool = True) -> tuple[np.ndarray, np.ndarray]:
        """Weights (F, L) and bias (L,) for moments that are solved for once only, without an inverse."""
        gram = loaded(moments.gram.copy(), moments, self.strength)
        weights = self.prior + solve_spd(
            gram, moments.cross - moments.gram @ self.prior, least_norm=least_norm
        )
        return weights, moments.target_mean - moments.feature_mean @ weights


def loaded(gram: np.ndarray, moments: Moments, ridge: float) -> np.ndarray:
    """Add the ridge to a block of `moments.gram` (in place): a share of the features' mean variance."""
    gram[np.diag_indices_from(gram)] += ridge * float(np.mean(np.diag(moments.gram)))
    return gram


def fit_split(
    moments: Moments,
    geometry: Geometry | Windows,
    groups: Sequence[Sequence[int]],
    *,
    gain: np.ndarray | None = None,
    ridge: float = LEAST_RIDGE,
) -> Fit:
    """The least-squares weights when `groups` lists every group's representative channels.

    Per output group the features are the 3x3 taps of its own representative channels, the pooled
    value of every channel, and the intercept. `gain` (L,) weighs the outputs in `error` alone: each
    output has its own least-squares problem.
    """
    outputs = len(moments.power) // len(groups)
    weights = np.zeros((len(moments.gram), len(moments.power)))
    for index, channels in enumerate(groups):
        own = slice(index * outputs, (index + 1) * outputs)
        columns = np.concatenate([moments.tap_columns(channels), moments.pooled])
        block = loaded(moments.gram[np.ix_(columns, columns)], moments, ridge)
        weights[columns, own] = solve_spd(block, moments.cross[columns][:, own])
    bias = moments.target_mean - moments.feature_mean @ weights
    return as_fit(weights, bias, relative_error(moments, weights, gain), geometry, groups)


def relative_error(moments: Moments, weights: np.ndarray, gain: np.ndarray | None = None) -> float:
    """Share of the targets' variance that `weights` (F, L) misses: 0 is perfect, 1 is the mean."""
    missed = moments.power - 2 * np.sum(weights * moments.cross, 0)
    missed = missed + np.sum(weights * (moments.gram @ weights), 0)
    scale = np.ones_like(missed) if gain is None else np.square(gain, dtype=np.float64)
    total = float(moments.power @ scale)
    return max(float(missed @ scale), 0.0) / total if total > 0 else 0.0


def as_fit(
    weights: np.ndarray,
    bias: np.ndarray,
    error: float,
    geometry: Geometry | Windows,
    groups: Sequence[Sequence[int]],
) -> Fit:
    """Weights by feature (F, L) -> kernels."""
    taps = len(geometry.taps)
    inputs = len(weights) // (taps + 1)
    representative = [int(channel) for group in groups for channel in group]
    rest = sorted(set(range(inputs)) - set(representative))
    by_channel = weights[: inputs * taps].reshape(inputs, taps, -1)
    kernels = np.zeros((len(bias), len(groups[0]), 9))
    outputs = len(bias) // len(groups)
    for index, channels in enumerate(groups):
        own = slice(index * outputs, (index + 1) * outputs)
        kernels[own][:, :, list(geometry.taps)] = by_channel[list(channels)][:, :, own].transpose(
            2, 0, 1
        )
    pointwise = weights[inputs * taps :].T[:, :, None, None]
    return Fit(
        channels=representative + rest,
        gwc=kernels.reshape(len(bias), -1, 3, 3),
        pwc=pointwise[:, representative],
        conv1x1=pointwise[:, rest],
        bias=bias,
        error=error,
    )
