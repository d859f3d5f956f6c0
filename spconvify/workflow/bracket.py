"""The budget by which a network becomes as fast as is wanted: bracketed by measured networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from spconvify.errors import SpconvifyError
from spconvify.search.choice import Choice
from spconvify.workflow.whole_times import WholeTimer

FAR = 0.05  # of a target: what is farther off isn't what was asked for
CORRECTIONS, LAST_CORRECTIONS = 5, 3  # of what the layers' times add up to, by whole networks
_NEAR = 0.02  # a measured speed-up that is no farther off will do


@dataclass(frozen=True)
class Timed:
    """A choice, how many times as fast as the original it is, and the budget that it was made for."""

    budget: float
    speedup: float
    choice: Choice


class Bracket:
    """Corrects budgets of added-up layers' times by the times of whole networks.

    Args:
        name: of the network, for messages.
        timer: times whole networks.
        target: how many times as fast is wanted.
        dense: what the layers' times of the original add up to.
        cheapest: gives the choice of lowest cost.
    """

    def __init__(
        self,
        name: str,
        timer: WholeTimer,
        target: float,
        dense: float,
        cheapest: Callable[[], Choice],
    ):
        self._name, self._timer, self._target = name, timer, target
        self._dense, self._cheapest = dense, cheapest

    def find(self, budget: float, choose: Callable[[float], Choice | None], tries: int) -> Timed:
        """The nearest to the target of `tries` choices at most, the first one for `budget`.

        Raises:
            SpconvifyError: if the fastest choice isn't as fast by far.
        """
        target, best = self._target, None
        # Share of the original's time by budget. What the layers' times add up to may be off by a factor
        # and by a constant, so the next budget lies on the line between the two nearest of them.
        known = {self._dense: 1.0}
        for _ in range(tries):
            choice = choose(budget)
            at_the_floor = choice is None
            if choice is None:
                choice = self._cheapest()
            reached = self._timer.speedup(choice)
            if best is None or abs(reached / target - 1) < abs(best.speedup / target - 1):
                best = Timed(budget, reached, choice)
            if abs(reached / target - 1) <= _NEAR:
                break
            if at_the_floor and reached < target:
                if reached >= target * (1 - FAR):
                    break
                raise SpconvifyError(
                    f"{self._name}: {target:g} times as fast can't be had in {self._timer.label}: the "
                    f"fastest choice there is makes it {reached:.2f} times as fast"
                )
            known[budget] = 1 / reached
            budget = _budget_between(known, 1 / target)
        assert best is not None, "it was tried at least once"
        return best


def _budget_between(known: Mapping[float, float], wanted: float) -> float:
    """The budget at which a share of the time is `wanted`, by the shares at other budgets."""
    low = max((budget for budget, share in known.items() if share <= wanted), default=0.0)
    above = [budget for budget, share in known.items() if share > wanted and budget > low]
    if not above:  # noise: a larger budget was faster
        return low
    high = min(above)
    if low == 0.0:  # nothing was as fast: as if time followed the budget
        return high * wanted / known[high]
    return low + (high - low) * (wanted - known[low]) / (known[high] - known[low])
