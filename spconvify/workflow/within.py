"""Find the plan for a budget, and what is done to the network that it gives."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from paddle import nn

from spconvify.calibration.images import FEWEST_TO_SPLIT, CalibrationImages
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.network.inputs import Inputs
from spconvify.progress import Progress
from spconvify.search.costs import Costs, MacCosts
from spconvify.search.journal import Journal, digest
from spconvify.search.search import Found, OutOfReachError, Search
from spconvify.search.structure import Structure
from spconvify.surgery.convert import carry_out
from spconvify.surgery.planning import Plan
from spconvify.workflow.bracket import CORRECTIONS, FAR, LAST_CORRECTIONS, Bracket
from spconvify.workflow.budget import Budget
from spconvify.workflow.timing import Setting
from spconvify.workflow.whole_times import WholeTimer

_HALVINGS = 5  # of the interval in which the cost for a drop lies
_GAIN = 0.97  # of the original's cost: what saves less isn't worth having


@dataclass
class Within:
    """A plan that a search found, and what there is to say of it."""

    plan: Plan
    notes: list[str] = field(default_factory=list)
    distance: float = 1.0  # from the original, by quick fits


class BudgetSearch:
    """The search for one network; `left_out` are the images that nothing is fitted to or judged on.

    Args:
        name: of the network, for messages.
        model: comes back as it was.
        macs: of the network, by `spconvify.cost`.
        shape: (N, C, H, W), or `Inputs`.
        images: calibration images.
        budget: what is asked for.
        setting: the engine, for times.
        seed: of all random numbers.
        progress: called with (done, total, text).
        chosen: names of the sites that may change; None for all.

    Raises:
        ArgumentError: if there are too few images to leave some out.
    """

    def __init__(
        self,
        name: str,
        model: nn.Layer,
        macs: int,
        shape: Any,
        images: CalibrationImages,
        budget: Budget,
        setting: Setting | None,
        seed: int,
        progress: Progress,
        chosen: Collection[str] | None = None,
    ):
        to_fit, left_out = images.split(seed)
        if left_out is None:
            raise ArgumentError(
                f"a budget needs {FEWEST_TO_SPLIT} calibration images at least, to leave some out of "
                "the fit; give some 256"
            )
        self._name, self._model, self._macs, self._shape = name, model, macs, shape
        self._budget, self._setting, self._seed = budget, setting, seed
        self._images, self._progress = images, progress
        self._to_fit, self.left_out = to_fit, left_out
        self._structure = Structure.of(
            model,
            Inputs.of(shape, model),
            prune="prune" in budget.allow,
            spconv="spconv" in budget.allow,
            chosen=chosen,
        )
        slots = self._structure.slots.values()
        if not self._structure.widths and not any(slot.replaceable for slot in slots):
            raise SpconvifyError(f"{name}: there is nothing in it to make slim within a budget")
        about = ""
        if budget.journal is not None:
            about = digest(model, images, seed, sorted(budget.allow), sorted(self._structure.slots))
        self._journal = Journal(budget.journal, about)
        try:
            self._search = Search(
                model,
                self._structure,
                to_fit,
                journal=self._journal,
                seed=seed,
                macs=macs,
                progress=progress,
            )
        except SpconvifyError:
            if not self._journal.found:  # nothing that an earlier search has left is lost
                self._journal.finish()
            self._journal.close()
            raise

    @property
    def recalled(self) -> int:
        """How many results an earlier search that was killed has left."""
        return self._journal.found

    def find(self, lost: Callable[[nn.Layer], float], budget: Budget | None = None) -> list[Within]:
        """The plan that keeps most within the budget; several where only thorough fits can tell which.

        Args:
            lost: points that a converted network loses, for a budget that says how many may be lost.
            budget: another one than the search was made for; what was found out for that is used again.

        Raises:
            SpconvifyError: if it can't be had; it says what can.
        """
        budget = budget or self._budget
        if budget.macs is not None:
            return self._within_macs(budget.macs)
        if budget.speedup is not None:
            return self._faster(budget.speedup)
        assert budget.drop is not None
        return [self._within_drop(budget.drop, lost)]

    def uniform(self, budget: Budget, kind: str) -> Plan | None:
        """The same changes wherever they can be, as mild as the budget allows; None if it can't be had.

        Args:
            budget: a share of the MACs, or a speed-up by the layers' times.
            kind: one of `spconvify.search.starts.UNIFORM`.
        """
        if budget.macs is not None:
            costs, most = self._mac_costs, budget.macs * self._macs
        else:
            assert budget.speedup is not None, "nothing is the same everywhere for a drop"
            costs = self._timed
            most = costs.dense(self._structure) / budget.speedup
        return self._search.uniform(costs, most, kind)

    def __enter__(self) -> BudgetSearch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """What was found out stays where a search was killed, and until its result is written."""
        if kind is not None and issubclass(kind, SpconvifyError):
            self._journal.finish()
        self._journal.close()

    @cached_property
    def _mac_costs(self) -> Costs:
        return MacCosts(self._structure, self._macs)

    @cached_property
    def _timer(self) -> WholeTimer:
        return WholeTimer(self._model, self._shape, self._setting, self._search, self._progress)

    @cached_property
    def _timed(self) -> Costs:
        return self._timer.costs(self._structure)

    def _within_macs(self, share: float) -> list[Within]:
        try:
            finalists = self._search.finalists(self._mac_costs, share * self._macs)
        except OutOfReachError as problem:
            least = 100 * problem.least / self._macs
            raise SpconvifyError(
                f"{self._name}: {100 * share:g} % of the MACs can't be had: {least:.1f} % are left at "
                "least"
            ) from problem
        return [
            Within(self._search.plan(one.choice), [self._said(one)], one.distance) for one in finalists
        ]

    def _said(self, found: Found) -> str:
        return f"chosen among {self._search.looked_at} networks, distance {found.distance:.3g}"

    def _faster(self, target: float) -> list[Within]:
        timer, costs = self._timer, self._timed
        dense = costs.dense(self._structure)
        bracket = Bracket(self._name, timer, target, dense, partial(self._search.cheapest, costs))
        # What the layers' times add up to is corrected by whole networks first, which need no fit.
        budget = bracket.find(dense / target, partial(self._search.first, costs), CORRECTIONS).budget
        best: list[tuple[float, Within]] = []
        for found in self._search.finalists(costs, max(budget, self._search.least(costs))):
            timed = bracket.find(budget, found.again, LAST_CORRECTIONS)
            if timed.speedup >= 1 / _GAIN:
                note = (
                    f"{timed.speedup:.2f} times as fast in {timer.label} before the fit "
                    f"({target:g} wanted)"
                )
                plan = self._search.plan(timed.choice)
                within = Within(plan, [self._said(found), note], found.distance)
                best.append((abs(timed.speedup / target - 1), within))
        if not best:
            raise SpconvifyError(
                f"{self._name}: nothing that was found is faster in {timer.label}; deploy the original"
            )
        nearest = max(FAR, min(off for off, _ in best))
        near = {within.plan.to_json(): within for off, within in best[::-1] if off <= nearest}
        return list(near.values())[::-1]

    def _within_drop(self, drop: float, lost: Callable[[nn.Layer], float]) -> Within:
        costs = self._mac_costs if self._setting is None else self._timed
        dense = costs.dense(self._structure)
        low, high = self._search.least(costs) / dense, 1.0
        best: tuple[Found, float] | None = None
        for _ in range(_HALVINGS):
            share = (low + high) / 2
            found = self._search.best(costs, share * dense, thorough=False)
            points = lost(self._fitted(self._search.plan(found.choice)))
            if points <= drop:
                best, high = (found, points), share
            else:
                low = share
        if best is None or best[0].cost > _GAIN * dense:
            raise SpconvifyError(
                f"{self._name}: nothing worth having was found with at most {drop:g} points lost; give "
                "more calibration images, allow more points, or train with `recover`"
            )
        found, points = best
        return Within(
            self._search.plan(found.choice),
            [self._said(found), f"{points:.2f} points lost before refining ({drop:g} allowed)"],
        )

    def _fitted(self, plan: Plan) -> nn.Layer:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said at the end, of the plan that is taken
            network, _ = carry_out(
                self._model,
                plan,
                init="lstsq",
                calibration=self._images,
                input_shape=self._shape,
                seed=self._seed,
                progress=self._progress,
            )
        return network
