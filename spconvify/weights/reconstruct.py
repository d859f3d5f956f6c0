"""Fit one SPConv so that what comes out of the activation behind it is right."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spconvify.weights.channels import PROPOSALS, choose_channels, reduce_problem
from spconvify.weights.gate import Gate
from spconvify.weights.gram import Moments, MomentsAccumulator, retargeted
from spconvify.weights.observations import Observations, Part
from spconvify.weights.solve import RIDGE, Fit, fit_split

ROUNDS = 8
_SMALLEST_GAIN = 1e-3  # of the largest; what a BatchNorm nearly mutes can't be fitted through it


@dataclass(frozen=True)
class Request:
    """What is fitted: the split's sizes, the activation's bounds (None: none), and the fusion."""

    groups: int
    per_group: int
    clip: tuple[float, float] | None = None
    gap: bool = False
    intercept: bool = True
    proposals: int = PROPOSALS
    rounds: int = ROUNDS
    ridge: float = RIDGE


@dataclass(frozen=True)
class Reconstruction:
    """The fitted weights, the gate's constants for fusion "gap", and the error that is left.

    `fit.error` is the share of the variance behind the activation that is missed, all channels and
    rows together.
    """

    fit: Fit
    gate: Gate | None


def reconstruct(observations: Observations, request: Request) -> Reconstruction:
    """Choose the channels, solve, then refine with what the activation and the gate make of it.

    The first solution is the closed form for the layer's output itself. Every following round keeps
    the split and moves the targets: where the activation cuts off both the wanted and the present
    value, the present value will do, so the weights serve the values that are seen (Zhang et al.,
    "Accelerating very deep convolutional networks", 2015, does this for low-rank layers). With
    fusion "gap" the target also takes back what the gate adds to the linear layer. Each round is a
    least-squares solve with the same moments; the best round counts.
    """
    problem = _Problem(observations, request)
    moments = problem.moments()
    reduced = reduce_problem(moments, request.groups, problem.weight)
    split = choose_channels(reduced, request.per_group, request.proposals)
    del reduced
    best: Reconstruction | None = None
    for index in range(request.rounds + 1):
        fit = fit_split(moments, observations.geometry, split, gain=problem.weight, ridge=request.ridge)
        current, targets = problem.examine(fit)
        if best is None or current.fit.error < best.fit.error:
            best = current
        if index == request.rounds or (request.clip is None and not request.gap):
            break
        moments = retargeted(moments, zip((p.features for p in observations.parts), targets))
    assert best is not None
    return best


class _Problem:
    """The layer's targets, in the layer's own output, and the errors behind the activation."""

    def __init__(self, observations: Observations, request: Request):
        self._data, self._request = observations, request
        gain = observations.gain
        self.weight = np.abs(gain).astype(np.float64)
        muted = self.weight <= _SMALLEST_GAIN * self.weight.max(initial=0.0)
        self._gain = np.where(muted, np.float32(1.0), gain)
        self._muted = muted

    def moments(self) -> Moments:
        accumulator = MomentsAccumulator(self._data.channels, intercept=self._request.intercept)
        for part in self._data.parts:
            accumulator.add(part.features, self._inward(part, part.wanted))
        return accumulator.result()

    def _inward(self, part: Part, value: np.ndarray) -> np.ndarray:
        """Values before the activation -> the layer's own output; 0 where the BatchNorm mutes it."""
        if part.shift is not None:
            value = value - part.shift
        value = (value - self._data.offset) / self._gain
        if self._muted.any():
            value[:, self._muted] = 0.0
        return value

    def _outward(self, part: Part, output: np.ndarray) -> np.ndarray:
        value = self._data.gain * output + self._data.offset
        return value if part.shift is None else value + part.shift

    def examine(self, fit: Fit) -> tuple[Reconstruction, Iterator[np.ndarray]]:
        """The error of a fit behind the activation, and the targets of the next round."""
        gate = Gate.balanced(fit, self._data) if self._request.gap else None
        error, power, mean, rows, targets = 0.0, 0.0, 0.0, 0, []
        low, high = self._request.clip or (-math.inf, math.inf)
        for part in self._data.parts:
            linear = part.features @ fit.matrix + fit.bias.astype(np.float32)
            output = linear if gate is None else gate.outputs(fit, part)
            value = self._outward(part, output)
            seen = np.clip(part.wanted, low, high)
            error += float(np.square(seen - np.clip(value, low, high), dtype=np.float64).sum())
            power = power + np.square(seen, dtype=np.float64).sum(0)
            mean = mean + seen.sum(0, dtype=np.float64)
            rows += len(seen)
            target = np.where(part.wanted <= low, np.minimum(value, low), part.wanted)
            target = np.where(part.wanted >= high, np.maximum(value, high), target)
            targets.append(self._inward(part, target) - output + linear)
        total = float(np.sum(power - mean**2 / rows))
        fit = replace(fit, error=error / total if total > 0 else 0.0)
        return Reconstruction(fit, gate), iter(targets)
