"""Ridge least squares for one SPConv: the best weights for a given split of the channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spconvify.weights.gram import Geometry, Moments

RIDGE = 1e-6  # of the features' mean variance


@dataclass(frozen=True)
class Fit:
    """Weights of an SPConv with fusion "sum", and how well they do.

    Shapes: gwc (L, r / groups, 3, 3), pwc (L, r, 1, 1), conv1x1 (L, C - r, 1, 1), bias (L,).
    `channels` is the order of the input channels; `error` the share of the targets' variance that is
    missed, outputs weighted by gain^2. `matrix` (F, L) holds the same weights by feature.
    """

    channels: list[int]
    gwc: np.ndarray
    pwc: np.ndarray
    conv1x1: np.ndarray
    bias: np.ndarray
    error: float
    matrix: np.ndarray

    @property
    def uncertain_columns(self) -> np.ndarray:
        """Columns of the uncertain channels' pooled features."""
        inputs = len(self.channels)
        return len(self.matrix) - inputs + np.array(self.channels[self.pwc.shape[1] :])


def solve_spd(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a symmetric positive (semi-)definite system.

    Cholesky; if the matrix isn't definite to working precision, the eigenvectors that carry no
    variance are left out, which gives the solution of least norm.
    """
    try:
        factor = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(matrix)
        kept = values > len(matrix) * np.finfo(np.float64).eps * max(values[-1], 0.0)
        scaled = vectors[:, kept] / values[kept] if kept.any() else vectors[:, :0]
        return scaled @ (vectors[:, kept].T @ right)
    # numpy has no triangular solve; LU of the triangle is exact and does no pivoting.
    return np.linalg.solve(factor.T, np.linalg.solve(factor, right))


def fit_split(
    moments: Moments,
    geometry: Geometry,
    groups: Sequence[Sequence[int]],
    *,
    gain: np.ndarray | None = None,
    ridge: float = RIDGE,
) -> Fit:
    """The least-squares weights when `groups` lists every group's representative channels.

    Per output group the features are the 3x3 taps of its own representative channels, the pooled
    value of every channel, and the intercept. `gain` (L,) weighs the outputs in `error` alone: each
    output has its own least-squares problem.
    """
    outputs = len(moments.power) // len(groups)
    loading = ridge * float(np.mean(np.diag(moments.gram)))
    weights = np.zeros((len(moments.gram), len(moments.power)))
    for index, channels in enumerate(groups):
        own = slice(index * outputs, (index + 1) * outputs)
        columns = np.concatenate([moments.tap_columns(channels), moments.pooled])
        block = moments.gram[np.ix_(columns, columns)]
        block[np.diag_indices_from(block)] += loading
        weights[columns, own] = solve_spd(block, moments.cross[columns][:, own])
    bias = moments.target_mean - moments.feature_mean @ weights
    return _as_fit(weights, bias, relative_error(moments, weights, gain), moments, geometry, groups)


def relative_error(moments: Moments, weights: np.ndarray, gain: np.ndarray | None = None) -> float:
    """Share of the targets' variance that `weights` (F, L) misses: 0 is perfect, 1 is the mean."""
    missed = moments.power - 2 * np.sum(weights * moments.cross, 0)
    missed = missed + np.sum(weights * (moments.gram @ weights), 0)
    scale = np.ones_like(missed) if gain is None else np.square(gain, dtype=np.float64)
    total = float(moments.power @ scale)
    return max(float(missed @ scale), 0.0) / total if total > 0 else 0.0


def _as_fit(
    weights: np.ndarray,
    bias: np.ndarray,
    error: float,
    moments: Moments,
    geometry: Geometry,
    groups: Sequence[Sequence[int]],
) -> Fit:
    representative = [channel for group in groups for channel in group]
    rest = sorted(set(range(moments.channels)) - set(representative))
    outputs = len(bias) // len(groups)
    kernels = np.zeros((len(bias), len(groups[0]), 9))
    for index, channels in enumerate(groups):
        own = slice(index * outputs, (index + 1) * outputs)
        taps = weights[moments.tap_columns(channels)][:, own].reshape(len(channels), moments.taps, -1)
        kernels[own][:, :, list(geometry.taps)] = taps.transpose(2, 0, 1)
    pointwise = weights[moments.pooled].T[:, :, None, None]
    return Fit(
        channels=representative + rest,
        gwc=kernels.reshape(len(bias), -1, 3, 3),
        pwc=pointwise[:, representative],
        conv1x1=pointwise[:, rest],
        bias=bias,
        error=error,
        matrix=weights.astype(np.float32),
    )
