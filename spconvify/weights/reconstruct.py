"""Fit one SPConv: choose its channels, solve, and refine each output group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spconvify.weights.channels import PROPOSALS, choose_channels, reduce_problem
from spconvify.weights.gate import Gate
from spconvify.weights.gram import Moments, MomentsAccumulator
from spconvify.weights.image_means import ImageMeans
from spconvify.weights.observations import Observations
from spconvify.weights.refine import GroupFit, GroupRefinement
from spconvify.weights.solve import RIDGE, Fit, as_fit, regularised_inverse

ROUNDS = 8


@dataclass(frozen=True)
class Request:
    """What is fitted: sizes of the split, fusion, and how long to search and refine."""

    groups: int
    per_group: int
    gap: bool = False
    intercept: bool = True
    proposals: int = PROPOSALS
    rounds: int = ROUNDS
    ridge: float = RIDGE


def reconstruct(observations: Observations, request: Request) -> tuple[Fit, Gate | None]:
    """The best weights, and the gate's constants for fusion "gap".

    The first solution is the closed form for the layer's output itself. Every following round keeps
    the channels and moves the targets: where the activation cuts off both the wanted and the present
    value, the present value will do, so the weights serve the values that are seen (as Zhang et al.,
    "Accelerating very deep convolutional networks", 2015, do for low-rank layers). With fusion "gap"
    the targets also take back what the gate adds to the linear layer. Every round is a least-squares
    solve with the same moments, in which the images' means have a weight of their own (`ImageMeans`).
    `Fit.error` is the share of the variance behind the activation that is missed, all channels and
    rows together.
    """
    moments = _moments(observations, request.intercept)
    reduced = reduce_problem(moments, request.groups, np.abs(observations.path.gain))
    split = choose_channels(reduced, request.per_group, request.proposals)
    del reduced
    outputs = len(moments.power) // request.groups
    weights, fits = np.zeros((len(moments.gram), len(moments.power))), []
    for index, channels in enumerate(split):
        own = slice(index * outputs, (index + 1) * outputs)
        columns = np.concatenate([moments.tap_columns(channels), moments.pooled])
        problem = _group(observations, moments, split, columns, own, request)
        fits.append(problem.best(request.rounds))
        weights[columns, own] = fits[-1].weights
    return _joined(fits, weights, observations, split)


def _moments(observations: Observations, intercept: bool) -> Moments:
    accumulator = MomentsAccumulator(observations.channels, intercept=intercept)
    path, parts = observations.path, observations.parts
    for part in parts:
        accumulator.add(part.features, path.inward(part.wanted, part.shortcut))
    moments = accumulator.result()
    means = ImageMeans(parts, moments)
    targets = (path.inward(part.wanted, part.shortcut) for part in parts)
    return means.with_targets(means.with_gram(moments), targets)


def _group(
    observations: Observations,
    moments: Moments,
    split: Sequence[Sequence[int]],
    columns: np.ndarray,
    own: slice,
    request: Request,
) -> GroupRefinement:
    uncertain = None
    if request.gap:
        taken = {channel for group in split for channel in group}
        first = len(columns) - moments.channels
        uncertain = first + np.array([c for c in range(moments.channels) if c not in taken])
    part = moments.part(columns, own)
    return GroupRefinement(
        observations.select(columns, own),
        part,
        regularised_inverse(part, request.ridge),
        observations.path.part(own),
        uncertain,
    )


def _joined(
    fits: list[GroupFit], weights: np.ndarray, observations: Observations, split: Sequence[Sequence[int]]
) -> tuple[Fit, Gate | None]:
    power = sum(fit.power for fit in fits)
    error = sum(fit.missed for fit in fits) / power if power > 0 else 0.0
    bias = np.concatenate([fit.bias for fit in fits])
    gates = [fit.gate for fit in fits if fit.gate is not None]
    fit = as_fit(weights, bias, error, observations.geometry, split)
    return fit, Gate.joined(gates) if gates else None
