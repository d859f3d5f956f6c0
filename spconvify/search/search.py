"""The search for the choice that keeps most within a budget, by tables and quick fits of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import SpconvifyError
from spconvify.progress import Progress, nothing
from spconvify.search.choice import Choice, Problem
from spconvify.search.costs import Costs
from spconvify.search.journal import Journal
from spconvify.search.options import DENSE
from spconvify.search.plans import plan_for
from spconvify.search.quick_fits import QuickFits
from spconvify.search.starts import BIASES, UNIFORM, Weights, cost_of, uniform, weighted_starts
from spconvify.search.structure import Structure
from spconvify.search.table import Table
from spconvify.surgery.planning import Plan

TRIES = 24  # random changes of the weights of a table
FEWER_TRIES = 6  # where a quick fit takes long
_MUCH = 2e10  # multiply-accumulates of a pass over the images; with more a quick fit takes long
_FIRST_SPREAD, _LATER_SPREAD = 0.9, 0.5  # standard deviations of the changes' logarithms
_CHANGED = 0.35  # share of the weights that a change touches
_BIAS_CHANGED, _BIAS_SPREAD = 0.3, 1.0
_HOPELESS = 1.3  # times the best one's distance on half of the images
FINALISTS = 3  # of a kind, where a fit doesn't take long
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
        self._seed = seed
        journal = journal or Journal()
        self._quick = QuickFits(model, images, journal, seed)
        self._progress = progress
        self._last: tuple[Costs, Problem] | None = None
        self._tries = TRIES if macs * images.count < _MUCH else FEWER_TRIES
        self.table = Table(model, structure, images, journal, seed, progress)
        self._orders = {name: entry.order for name, entry in self.table.entries.items()}

    def plan(self, choice: Choice) -> Plan:
        """The changes of a choice."""
        return plan_for(choice, self.structure, self._orders)

    @property
    def looked_at(self) -> int:
        """How many networks have been fitted quickly."""
        return len(self._quick.looked_at)

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
        """The choices that quick fits judge best, within the budget: the best one first.

        Of those that only narrow, and of those that replace too, the best ones are given where they are
        close: quick fits on a few hundred images don't tell them apart, but a thorough one can.

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
        by_kind: dict[bool, dict[str, Found]] = {False: {}, True: {}}  # whether something is replaced
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
            distance, first = self._quick.distance(choice.key, self.plan(choice), hopeless)
            found = Found(choice, distance, first, cost, origin, again)
            if best is None or found.distance < best[0].distance:
                best = (found, weights)
            by_kind[replaces].setdefault(choice.key, found)

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
        close, most = best[0].distance * _NEARLY, FINALISTS if self._tries == TRIES else 1
        found = []
        for group in by_kind.values():
            near = sorted((one for one in group.values() if one.distance <= close), key=_distance)
            found += near[:most]
        return sorted(found, key=_distance)

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


def _distance(found: Found) -> float:
    return found.distance


def _so_far(found: Found) -> str:
    return f" (distance so far {found.distance:.3g})"
