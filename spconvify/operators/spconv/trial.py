"""How strong a ridge has to be: found by a trial fit, on rows that are left out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spconvify.calibration.image_means import ImageMeans
from spconvify.calibration.moments import Moments, MomentsAccumulator
from spconvify.calibration.observations import Part
from spconvify.calibration.output_path import OutputPath
from spconvify.operators.spconv.refine import GroupFit, GroupRefinement, Score, judge
from spconvify.operators.spconv.solve import RIDGE, Ridge, usual_ridge

STEP = 10.0  # from one strength to the next
STRONGEST = 1e3  # the weights are the copied ones then, and only the intercept is fitted
WORSE = 1.01  # times what the best one misses; with fewer rows than weights weak ridges are all alike
PATIENCE = 2  # strengths that do worse than the best one


@dataclass(frozen=True)
class Trial:
    """What did best on the rows left out, and how well, there and on the rows that were fitted to.

    `strength` is None where it is the usual one; `rounds` are those of the refinement that pay.
    """

    strength: float | None
    rounds: int
    fitted: Score
    left_out: Score


def trial(
    parts: Sequence[Part],
    path: OutputPath,
    prior: np.ndarray,
    uncertain: np.ndarray | None = None,
    *,
    intercept: bool = True,
    ridge: float = RIDGE,
    rounds: int = 0,
) -> Trial | None:
    """Fit one output group to its rows but a quarter, with ever stronger ridges; judge on the others.

    Where there are many more rows than weights the usual ridge wins. Where there are few, a weak one
    explains every row that it sees, and nothing else; and `rounds` of refinement fit only those
    rows still better, so they are tried too. None if no row is left out.
    """
    halves = _Halves(parts, path, uncertain)
    if not halves.own or not halves.others:
        return None
    moments = moments_of(halves.own, path, intercept=intercept)
    usual = usual_ridge(moments, prior, ridge)
    best, waited = None, 0
    for strength in _strengths(usual):
        solved = Ridge(strength, prior).solved(moments, least_norm=False)
        missed = halves.missed(*solved)
        if best is None or missed < best[2]:
            best, waited = (strength, solved, missed), 0
        elif missed > WORSE * best[2]:
            waited += 1
        if waited == PATIENCE:
            break
    assert best is not None
    strength, solved, _ = best
    scores = halves.scores(*solved)
    if strength == usual:
        return Trial(None, rounds, *scores)
    refined = GroupRefinement(halves.own, moments, Ridge(strength, prior), path, uncertain).best(rounds)
    again = halves.scores(refined.weights, refined.bias)
    if again[1].missed < scores[1].missed:
        return Trial(strength, rounds, *again)
    return Trial(strength, 0, *scores)


def fit_group(
    parts: Sequence[Part],
    moments: Moments,
    path: OutputPath,
    prior: np.ndarray,
    uncertain: np.ndarray | None = None,
    *,
    intercept: bool = True,
    ridge: float = RIDGE,
    rounds: int = 0,
    with_trial: bool = True,
) -> tuple[GroupFit, Trial | None]:
    """The fit of one output group, with the ridge and the rounds that a trial finds best.

    Args:
        parts: its features and outputs only.
        moments: of these.
        path: behind these outputs.
        prior: (F, L) what the ridge pulls towards.
        uncertain: for fusion "gap", columns of the uncertain channels' pooled features.
        intercept: whether there is one.
        ridge: the usual one.
        rounds: of the refinement, at most.
        with_trial: whether there is a trial.
    """
    tried = None
    if with_trial:
        tried = trial(parts, path, prior, uncertain, intercept=intercept, ridge=ridge, rounds=rounds)
    strength = tried.strength if tried else None
    if strength is None:
        strength = usual_ridge(moments, prior, ridge)
    problem = GroupRefinement(list(parts), moments, Ridge(strength, prior), path, uncertain)
    return problem.best(tried.rounds if tried else rounds), tried


class _Halves:
    """The rows that a trial fits, and those that it is judged on."""

    def __init__(self, parts: Sequence[Part], path: OutputPath, uncertain: np.ndarray | None):
        self.own = [part for part in parts if not part.left_out]
        self.others = [part for part in parts if part.left_out]
        self._path, self._uncertain = path, uncertain

    def missed(self, weights: np.ndarray, bias: np.ndarray) -> float:
        """On the others alone, which is quicker where there is no gate."""
        if self._uncertain is None:
            return judge(self.others, self._path, weights, bias).score.missed
        return self.scores(weights, bias)[1].missed

    def scores(self, weights: np.ndarray, bias: np.ndarray) -> tuple[Score, Score]:
        """On the fitted rows, and on the others with the gate that belongs to the fitted ones."""
        fitted = judge(self.own, self._path, weights, bias, self._uncertain)
        others = judge(self.others, self._path, weights, bias, self._uncertain, fitted.gate)
        return fitted.score, others.score


def moments_of(
    parts: Sequence[Part], path: OutputPath, channels: int = 1, *, intercept: bool = True
) -> Moments:
    """The moments of some rows, with the images' means as rows of their own."""
    accumulator = MomentsAccumulator(channels, intercept=intercept)
    for part in parts:
        accumulator.add(part.features, path.inward(part.wanted, part.shortcut))
    moments = accumulator.result()
    means = ImageMeans(parts, moments)
    targets = (path.inward(part.wanted, part.shortcut) for part in parts)
    return means.with_targets(means.with_gram(moments), targets)


def _strengths(usual: float) -> Iterator[float]:
    strength = usual
    while strength < STRONGEST:
        yield strength
        strength *= STEP
    yield STRONGEST
