"""The copied weights as a solution of the least-squares problem: what a ridge pulls towards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spconvify.calibration.moments import Geometry
from spconvify.calibration.observations import Observations
from spconvify.calibration.windows import Windows
from spconvify.operators.spconv.copy import split_kernel
from spconvify.operators.spconv.gate import Gate
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.refine import Score, judge


def copied_weights(
    kernel: np.ndarray, geometry: Geometry | Windows, split: Sequence[Sequence[int]]
) -> np.ndarray:
    """What `copy_weights` makes of a dense kernel (L, C, 3, 3): weights by feature (F, L).

    `split` has the representative channels of every group. The features are those of `feature_rows`:
    where the centre tap is none of its own, it belongs to the pooled value.
    """
    outputs, inputs = kernel.shape[:2]
    taps, rest = list(geometry.taps), _rest(inputs, split)
    representative = [channel for group in split for channel in group]
    gwc, pwc, conv1x1 = split_kernel(kernel[:, representative + rest], len(representative), len(split))
    weights = np.zeros((inputs, len(taps) + 1, outputs))
    weights[representative, -1], weights[rest, -1] = pwc[:, :, 0, 0].T, conv1x1[:, :, 0, 0].T
    size = outputs // len(split)
    for index, channels in enumerate(split):
        own = slice(index * size, (index + 1) * size)
        block = gwc[own].reshape(size, len(channels), 9).transpose(1, 2, 0)
        weights[channels, :-1, own] = block[:, taps]
        if len(taps) < 9:
            weights[channels, -1, own] += block[:, 4]
    return np.concatenate([weights[:, :-1].reshape(-1, outputs), weights[:, -1]])


def judge_copy(
    observations: Observations,
    kernel: np.ndarray,
    bias: np.ndarray,
    spconv: SPConv2D,
) -> Score:
    """What `copy_weights` would give `spconv`, judged on the rows that are left out of a trial fit."""
    split = np.arange(spconv.representative).reshape(spconv.groups, -1).tolist()
    parts = [part for part in observations.parts if part.left_out]
    weights = copied_weights(kernel, observations.geometry, split)
    uncertain = gate = None
    if spconv.fusion == "gap":
        uncertain = len(weights) - len(kernel[0]) + np.array(_rest(len(kernel[0]), split))
        zero, one = np.zeros_like(bias), np.ones_like(bias)
        gate = Gate(zero, zero, one, one, bias)
    return judge(parts, observations.path, weights, bias, uncertain, gate).score


def _rest(inputs: int, split: Sequence[Sequence[int]]) -> list[int]:
    taken = {channel for group in split for channel in group}
    return [channel for channel in range(inputs) if channel not in taken]
