"""A convolution's inputs in the order in which they are worth most, and what it misses with fewer."""

from __future__ import annotations

import numpy as np

from spconvify.calibration.moments import Geometry, Moments
from spconvify.operators.spconv.channels import CHOICE_RIDGE
from spconvify.operators.spconv.exchange import GroupSelection
from spconvify.operators.spconv.solve import loaded

_STEPS = 48  # of the greedy selection


def greedy_order(moments: Moments, taps: int, gain: np.ndarray) -> tuple[list[int], dict[int, float]]:
    """A convolution's inputs in the order in which they are worth most, and the error by their number.

    The error is the share of the outputs' variance, weighted by the gain of the BatchNorm behind them,
    that the best weights for these inputs alone miss.
    """
    weight = np.abs(gain)
    gram = loaded(moments.gram.copy(), moments, CHOICE_RIDGE)
    channels = len(gram) // taps
    group = GroupSelection(gram, moments.cross * weight, taps)
    power = max(float(moments.power @ np.square(weight)), 1e-30)
    at_once = max(1, channels // _STEPS)
    curve, explained = {0: 1.0}, 0.0
    while len(group.chosen) < channels:
        gains = group.addition_gains()
        best = np.argsort(-gains, kind="stable")[: min(at_once, channels - len(group.chosen))]
        first = len(group.chosen)
        # Those that are added together tell the same in part, so that their gains don't add up.
        for number, energy in enumerate(group.add([int(channel) for channel in best])):
            explained += float(energy)
            curve[first + number + 1] = max(0.0, 1.0 - explained / power)
    # What even all of them miss isn't the selection's fault.
    floor = curve[channels]
    return list(group.chosen), {count: max(0.0, error - floor) for count, error in curve.items()}


def dense_columns(channels: int, geometry: Geometry) -> np.ndarray:
    """Where the features of a dense 3x3 are among an SPConv's, channel by channel its nine taps.

    At stride 1 the centre is the pooled value; at stride 2 the pooled value is none of a dense 3x3's.
    """
    taps = len(geometry.taps)
    own = np.arange(channels)[:, None] * taps + np.arange(taps)
    if taps == 9:
        return own.ravel()
    centre = channels * taps + np.arange(channels)[:, None]
    return np.hstack([own[:, :4], centre, own[:, 4:]]).ravel()
