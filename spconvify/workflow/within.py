"""Find the plan for a budget, and what is done to the network that it gives."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from paddle import nn

from spconvify.calibration.images import FEWEST_TO_SPLIT, CalibrationImages
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.network.inputs import Inputs
from spconvify.progress import Progress
from spconvify.search.choice import Choice
from spconvify.search.costs import Costs, MacCosts
from spconvify.search.journal import Journal
from spconvify.search.judge import Judge
from spconvify.search.refinement import can_refine, refine, takes_long
from spconvify.search.search import Found, OutOfReachError, Search
from spconvify.search.structure import Structure
from spconvify.surgery.convert import carry_out
from spconvify.surgery.planning import Plan
from spconvify.workflow.budget import Budget
from spconvify.workflow.timing import Setting
from spconvify.workflow.whole_times import WholeTimer

_NEAR = 0.02  # of a target: a measured speed-up that is no farther off will do
_FAR = 0.05  # what is farther off isn't what was asked for
_CORRECTIONS, _LAST_CORRECTIONS = 5, 3  # of what the layers' times add up to, by whole networks
_HALVINGS = 5  # of the interval in which the cost for a drop lies
_GAIN = 0.97  # of the original's cost: what saves less isn't worth having


@dataclass
class Within:
    """The plan that a search found, and what there is to say of it."""

    plan: Plan
    notes: list[str] = field(default_factory=list)


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
        )
        self._journal = Journal(budget.journal, self._about() if budget.journal else "")
        changeable = self._structure.widths or any(
            slot.replaceable for slot in self._structure.slots.values()
        )
        if not changeable:
            raise SpconvifyError(f"{name}: there is nothing in it to make slim within a budget")
        self._search = Search(
            model,
            self._structure,
            to_fit,
            journal=self._journal,
            seed=seed,
            macs=macs,
            progress=progress,
        )

    @property
    def recalled(self) -> int:
        """How many results an earlier search that was killed has left."""
        return self._journal.found

    def find(self, lost: Callable[[nn.Layer], float]) -> Within:
        """The plan that keeps most within the budget.

        Args:
            lost: points that a converted network loses, for a budget that says how many may be lost.

        Raises:
            SpconvifyError: if it can't be had; it says what can.
        """
        try:
            if self._budget.macs is not None:
                return self._within_macs(self._budget.macs)
            if self._budget.speedup is not None:
                return self._faster(self._budget.speedup)
            assert self._budget.drop is not None
            return self._within_drop(self._budget.drop, lost)
        except SpconvifyError:
            self.finish()  # only a search that was killed goes on
            raise

    def refine(self, original: nn.Layer, network: nn.Layer) -> list[str]:
        """Train the network on the calibration images, if that is wanted and can be."""
        wanted = self._budget.refine
        if wanted is False:
            return []
        if not can_refine(self._to_fit):
            return ["not refined: the calibration images aren't pictures alone, all of one size"]
        if wanted is None and takes_long(self._macs):
            return ["not refined, since it would take over ten minutes and wasn't asked for"]
        judge = Judge(original, self.left_out)
        before, after = refine(
            original, network, self._to_fit, judge, seed=self._seed, progress=self._progress
        )
        if after < before:
            return [f"refined on the calibration images: distance {before:.3g} → {after:.3g}"]
        return ["a refinement on the calibration images brought nothing"]

    def finish(self) -> None:
        """What the search has found out isn't needed any more."""
        self._journal.finish()

    def _about(self) -> str:
        """What results belong to: weights, images, settings, and the version of the code."""
        from spconvify import __version__

        digest = hashlib.sha256(f"{__version__} {self._seed} {sorted(self._budget.allow)}".encode())
        for key, value in sorted(self._model.state_dict().items()):
            digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(np.ascontiguousarray(value.numpy()).tobytes())
        for batch in self._images:
            arrays = [batch] if isinstance(batch, np.ndarray) else list(batch.feeds().values())
            for array in arrays:
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def _within_macs(self, share: float) -> Within:
        costs = MacCosts(self._structure, self._macs)
        try:
            found = self._search.best(costs, share * self._macs)
        except OutOfReachError as problem:
            least = 100 * problem.least / self._macs
            raise SpconvifyError(
                f"{self._name}: {self._budget.text} can't be had: {least:.1f} % are left at least"
            ) from problem
        return Within(self._search.plan(found.choice), [self._said(found)])

    def _said(self, found: Found) -> str:
        return f"chosen among {self._search.looked_at} networks, distance {found.distance:.3g}"

    def _faster(self, target: float) -> Within:
        timer = WholeTimer(self._model, self._shape, self._setting, self._search, self._progress)
        costs = timer.costs(self._structure)
        dense = costs.dense(self._structure)
        # What the layers' times add up to is corrected by whole networks first, which need no fit.
        budget = self._corrected(
            timer, target, dense / target, partial(self._search.first, costs), costs, _CORRECTIONS
        )[0]
        found = self._search.best(costs, max(budget, self._search.least(costs)))
        _, reached, choice = self._corrected(
            timer, target, budget, found.again, costs, _LAST_CORRECTIONS
        )
        if reached < 1 / _GAIN:
            raise SpconvifyError(
                f"{self._name}: nothing that was found is faster in {timer.label}; deploy the original"
            )
        note = f"{reached:.2f} times as fast in {timer.label} before the fit ({target:g} wanted)"
        return Within(self._search.plan(choice), [self._said(found), note])

    def _corrected(
        self,
        timer: WholeTimer,
        target: float,
        budget: float,
        choose: Callable[[float], Choice | None],
        costs: Costs,
        tries: int,
    ) -> tuple[float, float, Choice]:
        """The budget that makes a choice as fast as is wanted, how fast that is, and the choice.

        Raises:
            SpconvifyError: if the fastest choice isn't as fast by far.
        """
        best: tuple[float, float, Choice] | None = None
        for _ in range(tries):
            choice = choose(budget)
            at_the_floor = choice is None
            if choice is None:
                choice = self._search.cheapest(costs)
            reached = timer.speedup(choice)
            if best is None or abs(reached / target - 1) < abs(best[1] / target - 1):
                best = (budget, reached, choice)
            if abs(reached / target - 1) <= _NEAR:
                break
            if at_the_floor and reached < target:
                if reached >= target * (1 - _FAR):
                    break
                raise SpconvifyError(
                    f"{self._name}: {self._budget.text} can't be had in {timer.label}: the fastest "
                    f"choice there is makes it {reached:.2f} times as fast"
                )
            budget *= reached / target
        assert best is not None, "it was tried at least once"
        return best

    def _within_drop(self, drop: float, lost: Callable[[nn.Layer], float]) -> Within:
        costs: Costs = MacCosts(self._structure, self._macs)
        if self._setting is not None:
            timer = WholeTimer(self._model, self._shape, self._setting, self._search, self._progress)
            costs = timer.costs(self._structure)
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
                f"{self._name}: nothing worth having was found with {self._budget.text}; give more "
                "calibration images, allow more points, or train with `recover`"
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
