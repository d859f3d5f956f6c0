"""Refit one output group's weights to what the activation, and the gate, let through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from spconvify.calibration.image_means import ImageMeans
from spconvify.calibration.moments import Moments, retargeted
from spconvify.calibration.observations import Part
from spconvify.calibration.output_path import OutputPath
from spconvify.operators.spconv.gate import Gate, split_output
from spconvify.operators.spconv.solve import Ridge

# A step of a majorise-minimise scheme may be prolonged up to twice; this halves the rounds.
_STEP = 1.5
# A round that improves the objective by a smaller share is the last.
_SETTLED = 2e-3


@dataclass(frozen=True)
class Score:
    """Squares missed behind the activation, and the squares about the mean that were wanted."""

    missed: float
    power: float

    @property
    def error(self) -> float:
        """The share that is missed."""
        return self.missed / self.power if self.power > 0 else 0.0

    @classmethod
    def total(cls, scores: Iterable[Score]) -> Score:
        """Of all outputs together."""
        scores = list(scores)
        return cls(sum(score.missed for score in scores), sum(score.power for score in scores))


@dataclass(frozen=True)
class Judged:
    """What a solution does: its score, and per row what it misses.

    Part by part: the linear layer's output, the layer's output, and the errors that are seen.
    """

    score: Score
    rows: int
    linear: list[np.ndarray]
    output: list[np.ndarray]
    errors: list[np.ndarray]
    gate: Gate | None


def judge(
    parts: Sequence[Part],
    path: OutputPath,
    weights: np.ndarray,
    bias: np.ndarray,
    uncertain: np.ndarray | None = None,
    gate: Gate | None = None,
) -> Judged:
    """Hold weights (F, L) and bias (L,) against what is wanted.

    `uncertain` are, for fusion "gap", the columns of the uncertain channels' pooled features; `gate`
    are the gate's constants, those that balance these very rows if there are none yet.
    """
    linear, output, gate = _outputs(parts, weights.astype(np.float32), bias, uncertain, gate)
    total, square, rows, missed, errors = 0.0, 0.0, 0, 0.0, []
    for part, given in zip(parts, output):
        seen = path.seen(part.wanted)
        error = seen - path.seen(path.outward(given, part.shortcut))
        missed += float(np.square(error, dtype=np.float64).sum())
        total = total + seen.sum(0, dtype=np.float64)
        square = square + np.square(seen, dtype=np.float64).sum(0)
        rows += len(seen)
        errors.append(error)
    power = float(np.sum(square - total**2 / rows))
    return Judged(Score(missed, power), rows, linear, output, errors, gate)


def _outputs(parts, weights, bias, uncertain, gate):
    """Part by part: the linear layer's output, the layer's output; and the gate, if there is one."""
    offset = bias.astype(np.float32)
    if uncertain is None:
        linear = [part.features @ weights + offset for part in parts]
        return linear, linear, None
    splits = [split_output(part, weights, uncertain) for part in parts]
    if gate is None:
        gate = Gate.balanced([halves for halves, _ in splits], bias)
    linear = [half3 + half1 + offset for (half3, half1), _ in splits]
    return linear, [gate.fuse(rows, means, p.image) for (rows, means), p in zip(splits, parts)], gate


@dataclass(frozen=True)
class GroupFit:
    """Weights (F, L) and bias (L,) of one output group, and what they do on the rows of the fit.

    `objective` is what was to be small: what is missed per row, and the images' means on top.
    """

    weights: np.ndarray
    bias: np.ndarray
    objective: float
    judged: Judged


class GroupRefinement:
    """The least-squares problem of one output group, with targets that move.

    Args:
        parts: its features and outputs only.
        moments: of these, for the targets "the original's output exactly".
        ridge: see `Ridge`.
        path: behind these outputs.
        uncertain: for fusion "gap", columns of the uncertain channels' pooled features.
    """

    def __init__(
        self,
        parts: list[Part],
        moments: Moments,
        ridge: Ridge,
        path: OutputPath,
        uncertain: np.ndarray | None,
    ):
        self._parts, self._moments, self._ridge, self._path = parts, moments, ridge, path
        self._inverse = ridge.inverse(moments)
        self._from_prior = moments.gram @ ridge.prior
        self._uncertain = uncertain
        self._means = ImageMeans(parts, moments)

    def best(self, rounds: int) -> GroupFit:
        """Solve, then move the targets and solve again; a round that doesn't help halves the step.

        It ends after `rounds`, or with one that helps hardly at all.
        """
        best = self._solved(self._moments)
        if not self._path.clips and self._uncertain is None:
            return best
        step = _STEP if self._uncertain is None else 1.0
        targets = self._targets(best, step)
        for _ in range(rounds):
            moments = retargeted(self._moments, zip((p.features for p in self._parts), targets))
            current = self._solved(self._means.with_targets(moments, targets))
            gain = best.objective - current.objective
            if gain > 0:
                best = current
                if gain <= _SETTLED * current.objective:
                    break
            else:
                step /= 2
            targets = self._targets(best, step)
        return best

    def _solved(self, moments: Moments) -> GroupFit:
        weights = self._ridge.prior + self._inverse @ (moments.cross - self._from_prior)
        bias = moments.target_mean - moments.feature_mean @ weights
        judged = judge(self._parts, self._path, weights, bias, self._uncertain)
        objective = judged.score.missed / judged.rows + self._means.energy(judged.errors)
        return GroupFit(weights, bias, objective, judged)

    def _targets(self, fit: GroupFit, step: float) -> list[np.ndarray]:
        """Part by part: what the linear layer gives, moved by `step` x what the layer lacks."""
        targets = []
        for part, linear, given in zip(self._parts, fit.judged.linear, fit.judged.output):
            value = self._path.outward(given, part.shortcut)
            target = self._path.inward(self._path.good_enough(part.wanted, value), part.shortcut)
            targets.append(linear + np.float32(step) * (target - given))
        return targets
