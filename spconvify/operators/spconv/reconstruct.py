"""Fit one SPConv: choose its channels, solve, and refine each output group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spconvify.calibration.moments import Moments
from spconvify.calibration.observations import Observations
from spconvify.operators.spconv.channels import PROPOSALS, choose_channels, reduce_problem
from spconvify.operators.spconv.gate import Gate
from spconvify.operators.spconv.prior import copied_weights
from spconvify.operators.spconv.refine import GroupFit, Score
from spconvify.operators.spconv.solve import RIDGE, Fit, as_fit
from spconvify.operators.spconv.trial import Trial, fit_group, moments_of

ROUNDS = 8


@dataclass(frozen=True)
class Request:
    """What is fitted: sizes of the split, fusion, and how long to search and refine.

    `trial` is whether the strength of the ridge is tried on rows that are left out.
    """

    groups: int
    per_group: int
    gap: bool = False
    intercept: bool = True
    proposals: int = PROPOSALS
    rounds: int = ROUNDS
    trial: bool = True
    ridge: float = RIDGE


@dataclass(frozen=True)
class Reconstruction:
    """Fitted weights, the gate's constants for fusion "gap", and what a trial fit says of them.

    `trials` are those of the output groups, empty if no row could be left out.
    """

    fit: Fit
    gate: Gate | None
    trials: list[Trial]

    @property
    def left_out(self) -> Score:
        """What the trial fits do on the rows left out."""
        return Score.total(trial.left_out for trial in self.trials)

    @property
    def error(self) -> float:
        """The error to expect elsewhere: the fit's, and what the trials do worse on rows left out."""
        fitted = Score.total(trial.fitted for trial in self.trials)
        return self.fit.error + max(0.0, self.left_out.error - fitted.error)


def reconstruct(
    observations: Observations, request: Request, kernel: np.ndarray | None = None
) -> Reconstruction:
    """The best weights, near those copied from `kernel` (L, C, 3, 3) where the rows don't tell.

    The first solution is the closed form for the layer's output itself. Every following round keeps
    the channels and moves the targets: where the activation cuts off both the wanted and the present
    value, the present value will do, so the weights serve the values that are seen (as Zhang et al.,
    "Accelerating very deep convolutional networks", 2015, do for low-rank layers). With fusion "gap"
    the targets also take back what the gate adds to the linear layer. Every round is a least-squares
    solve with the same moments, in which the images' means have a weight of their own (`ImageMeans`).
    `Fit.error` is the share of the variance behind the activation that is missed, all channels and
    rows together.

    Raises:
        numpy.linalg.LinAlgError: if the moments are such that nothing can be solved.
    """
    path = observations.path
    moments = moments_of(observations.parts, path, observations.channels, intercept=request.intercept)
    if not np.isfinite(moments.gram).all():
        raise np.linalg.LinAlgError("the features' squares aren't finite")
    reduced = reduce_problem(moments, request.groups, np.abs(path.gain))
    split = choose_channels(reduced, request.per_group, request.proposals)
    del reduced
    prior = np.zeros((len(moments.gram), len(moments.power)))
    if kernel is not None:
        prior = copied_weights(kernel, observations.geometry, split)
    groups = [_group(observations, moments, split, index, prior, request) for index in range(len(split))]
    return _joined(groups, observations, split, len(moments.gram))


@dataclass(frozen=True)
class _Group:
    """One output group: its columns of the features, its fit, its trial."""

    columns: np.ndarray
    fit: GroupFit
    trial: Trial | None


def _group(
    observations: Observations,
    moments: Moments,
    split: Sequence[Sequence[int]],
    index: int,
    prior: np.ndarray,
    request: Request,
) -> _Group:
    outputs = len(moments.power) // len(split)
    own = slice(index * outputs, (index + 1) * outputs)
    columns = np.concatenate([moments.tap_columns(split[index]), moments.pooled])
    uncertain = None
    if request.gap:
        taken = {channel for group in split for channel in group}
        first = len(columns) - moments.channels
        uncertain = first + np.array([c for c in range(moments.channels) if c not in taken])
    parts, path = observations.select(columns, own), observations.path.part(own)
    part, prior = moments.part(columns, own), prior[columns, own]
    fit, tried = fit_group(
        parts,
        part,
        path,
        prior,
        uncertain,
        intercept=request.intercept,
        ridge=request.ridge,
        rounds=request.rounds,
        with_trial=request.trial,
    )
    return _Group(columns, fit, tried)


def _joined(
    groups: list[_Group], observations: Observations, split: Sequence[Sequence[int]], features: int
) -> Reconstruction:
    fits = [group.fit for group in groups]
    bias = np.concatenate([fit.bias for fit in fits])
    weights, outputs = np.zeros((features, len(bias))), len(bias) // len(groups)
    for index, group in enumerate(groups):
        weights[group.columns, index * outputs : (index + 1) * outputs] = group.fit.weights
    error = Score.total(fit.judged.score for fit in fits).error
    gates = [fit.judged.gate for fit in fits if fit.judged.gate is not None]
    fit = as_fit(weights, bias, error, observations.geometry, split)
    trials = [group.trial for group in groups if group.trial is not None]
    return Reconstruction(fit, Gate.joined(gates) if gates else None, trials)
