"""The search for the choice that keeps most within a budget, by tables and quick fits of networks."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from paddle import nn

from spconvify.calibration.effort import QUICK
from spconvify.calibration.images import CalibrationImages
from spconvify.errors import SpconvifyError
from spconvify.operators import registry
from spconvify.progress import Progress, nothing
from spconvify.search.choice import Choice, Problem
from spconvify.search.costs import Costs
from spconvify.search.journal import Journal
from spconvify.search.judge import Judge
from spconvify.search.options import DENSE
from spconvify.search.plans import plan_for
from spconvify.search.starts import BIASES, UNIFORM, Weights, cost_of, uniform, weighted_starts
from spconvify.search.structure import Structure
from spconvify.search.table import Table
from spconvify.surgery.apply import apply_plan
from spconvify.surgery.calibrate import calibrate
from spconvify.surgery.planning import Plan

TRIES = 24  # random changes of the weights of a table
FEWER_TRIES = 6  # where a quick fit takes long
_MUCH = 2e10  # multiply-accumulates of a pass over the images; with more a quick fit takes long
_FEW = 64  # images; with fewer the strength of the ridge has to be tried
_FIRST_SPREAD, _LATER_SPREAD = 0.9, 0.5  # standard deviations of the changes' logarithms
_CHANGED = 0.35  # share of the weights that a change touches
_BIAS_CHANGED, _BIAS_SPREAD = 0.3, 1.0
_HOPELESS = 1.3  # times the best one's distance on half of the images
_NEARLY = 1.25  # of the best distance: quick fits on a few hundred images tell no more
_LOWEST_BIAS, _HIGHEST_BIAS = 0.3, 30.0


class OutOfReachError(SpconvifyError):
    """No choice is as cheap as was asked for; `least` is the lowest cost there is."""

    def __init__(self, message: str, least: float):
        super().__init__(message)
        self.least = least


@dataclass(frozen=True)
class Found:
    """A choice, the distance that quick fits gave it, its cost, and where it came from.

    `distance` is infinite where half of the images, of which it is `first`, were enough to see that
    others are better.

    `again` makes the choice of the same origin for another budget; None if there is none.
    """

    choice: Choice
    distance: float
    first: float
    cost: float
    origin: str
    again: Callable[[float], Choice | None] = field(compare=False, repr=False)


class Search:
    """For one network and its images; several budgets share the table.

    Args:
        model: the original network; comes back as it was.
        structure: of it.
        images: each half of them is what networks are judged on that were fitted to the other one.
        journal: where results are kept.
        seed: of all random numbers.
        macs: multiply-accumulates of the network for one image, by which the number of tries is decided.
        progress: called with (done, total, text).
    """

    def __init__(
        self,
        model: nn.Layer,
        structure: Structure,
        images: CalibrationImages,
        *,
        journal: Journal | None = None,
        seed: int = 0,
        macs: int = 0,
        progress: Progress = nothing,
    ):
        self.structure = structure
        self._model, self._seed = model, seed
        halves = images.halves(seed)
        self._folds = [(first, Judge(model, second)) for first, second in (halves, halves[::-1])]
        self._journal = journal or Journal()
        self._progress = progress
        self._looked_at: set[str] = set()
        self._last: tuple[Costs, Problem] | None = None
        self._tries = TRIES if macs * images.count < _MUCH else FEWER_TRIES
        self.table = Table(model, structure, images, self._journal, seed, progress)
        self._orders = {name: entry.order for name, entry in self.table.entries.items()}

    def plan(self, choice: Choice) -> Plan:
        """The changes of a choice."""
        return plan_for(choice, self.structure, self._orders)

    @property
    def looked_at(self) -> int:
        """How many networks have been fitted quickly."""
        return len(self._looked_at)

    def least(self, costs: Costs) -> float:
        """The lowest cost that any choice has."""
        return self._problem(costs).least

    def first(self, costs: Costs, budget: float) -> Choice | None:
        """The choice of the tables as they are, without any fit; None if nothing is as cheap."""
        return self._choose(self._problem(costs), budget, Weights({}, BIASES[0]))

    def cheapest(self, costs: Costs) -> Choice:
        """The choice of lowest cost."""
        problem = self._problem(costs)
        choice = problem.choose(problem.least * (1 + 1e-9))
        assert choice is not None, "its cost is the least one"
        return choice

    def uniform(self, costs: Costs, budget: float, kind: str) -> Plan | None:
        """The plan of one of `UNIFORM`, as mild as the budget allows; None if it can't be had."""
        choice = uniform(self.structure, self._problem(costs), budget, kind)
        return None if choice is None else self.plan(choice)

    def best(self, costs: Costs, budget: float, *, thorough: bool = True) -> Found:
        """The choice that a quick fit judges best, within the budget; see `finalists`.

        Raises:
            OutOfReachError: if nothing is as cheap.
        """
        return self.finalists(costs, budget, thorough=thorough)[0]

    def finalists(self, costs: Costs, budget: float, *, thorough: bool = True) -> list[Found]:
        """The choice that a quick fit judges best, within the budget, and the best of the other kind.

        One kind only narrows, the other replaces too. A quick fit doesn't tell them apart where they are
        close: what is replaced gains more from a thorough fit and from a refinement. So where the second
        one is nearly as good, it is given too, for who calls to try both.

        The tables' damages are multiplied by weights, one for each slot and one for what isn't dense;
        the weights are searched for, since errors of single layers rank networks wrongly. If it isn't
        `thorough`, only the starts of that are looked at.

        Raises:
            OutOfReachError: if nothing is as cheap.
        """
        problem = self._problem(costs)
        least = problem.least
        if least > budget:
            raise OutOfReachError("no choice is as cheap as that", least)
        starts = weighted_starts(self.table, self.structure)
        tries = self._tries if thorough else 0
        total = len(starts) + len(UNIFORM) + tries
        best: tuple[Found, Weights] | None = None
        by_kind: dict[bool, Found] = {}  # whether something is replaced
        tried = 0

        def look(again: Callable[[float], Choice | None], weights: Weights, origin: str) -> None:
            nonlocal best, tried
            self._progress(tried, total, f"trying {origin}" + (_so_far(best[0]) if best else ""))
            tried += 1
            choice = again(budget)
            if choice is None:
                return
            cost = cost_of(choice, self.structure, problem)
            replaces = any(option is not DENSE for option in choice.options.values())
            hopeless = np.inf if best is None else best[0].first * _HOPELESS
            distance, first = self.distance(choice, hopeless)
            found = Found(choice, distance, first, cost, origin, again)
            if best is None or found.distance < best[0].distance:
                best = (found, weights)
            if replaces not in by_kind or found.distance < by_kind[replaces].distance:
                by_kind[replaces] = found

        for weights in starts:
            look(partial(self._choose, problem, weights=weights), weights, "mixed choices")
        for kind in UNIFORM:
            again = partial(uniform, self.structure, problem, kind=kind)
            look(again, starts[0], "the same everywhere")
        random = np.random.default_rng(self._seed)
        for number in range(tries):
            assert best is not None
            weights = self._changed(best[1], random, number < tries // 2)
            look(partial(self._choose, problem, weights=weights), weights, "other weights")
        assert best is not None, "the first start always gives a choice"
        close = best[0].distance * _NEARLY
        others = [one for one in by_kind.values() if one is not best[0] and one.distance <= close]
        return [best[0], *others]

    def distance(self, choice: Choice, hopeless: float = np.inf) -> tuple[float, float]:
        """That of the quickly fitted network on images that it wasn't fitted to, and on half of them.

        Where it is `hopeless` on the first half, the second one isn't looked at.
        """
        key = hashlib.sha256(choice.key.encode()).hexdigest()[:16]
        self._looked_at.add(key)
        distances: list[float] = []
        for fold in range(len(self._folds)):
            made = partial(self._fitted, choice, fold)
            distances.append(float(self._journal.get(f"distance {key} {fold}", made)))
            if distances[0] > hopeless:
                return np.inf, distances[0]
        return sum(distances) / len(distances), distances[0]

    def _fitted(self, choice: Choice, fold: int) -> float:
        plan = self.plan(choice)
        if not plan.changes:
            return 0.0
        images, judge = self._folds[fold]
        return judge.distance(fit_quickly(self._model, plan, images, self._seed))

    def _problem(self, costs: Costs) -> Problem:
        """For these costs; the last one is kept, since the arrays of costs take a while."""
        if self._last is None or self._last[0] is not costs:
            self._last = (costs, Problem.of(self.structure, costs, self.table.damages({}, 1.0)))
        return self._last[1]

    def _choose(self, problem: Problem, budget: float, weights: Weights) -> Choice | None:
        damages = self.table.damages(weights.by_slot, weights.bias)
        return problem.with_damages(damages).choose(budget)

    def _changed(self, weights: Weights, random: np.random.Generator, early: bool) -> Weights:
        spread = _FIRST_SPREAD if early else _LATER_SPREAD
        by_slot = {}
        for name in self.structure.slots:
            factor = np.exp(random.normal(0, spread)) if random.random() < _CHANGED else 1.0
            by_slot[name] = weights.by_slot.get(name, 1.0) * float(factor)
        bias = weights.bias
        if random.random() < _BIAS_CHANGED:
            bias = float(
                np.clip(bias * np.exp(random.normal(0, _BIAS_SPREAD)), _LOWEST_BIAS, _HIGHEST_BIAS)
            )
        return Weights(by_slot, bias)


def fit_quickly(model: nn.Layer, plan: Plan, images: CalibrationImages, seed: int) -> nn.Layer:
    """The network of a plan, fitted as well as a comparison with others needs.

    What it would warn of is said by the fit at the end.
    """
    plan = plan.with_settings(lambda _, settings: registry.of_settings(settings).with_room(settings))

    def fit(network: nn.Layer, layers: dict[str, nn.Layer]) -> None:
        to_fit = plan.fitted(layers)
        effort = replace(QUICK, trial=images.count < _FEW)
        calibrate(model, to_fit, network, images, seed=seed, kept=plan.kept, effort=effort)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return apply_plan(model, plan, fit=fit, verify=False)


def _so_far(found: Found) -> str:
    return f" (distance so far {found.distance:.3g})"
