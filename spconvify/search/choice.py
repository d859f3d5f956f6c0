"""The choice of least damage for a budget: exact along every chain, with one price for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spconvify.search.costs import Costs, states
from spconvify.search.options import options
from spconvify.search.structure import Chain, Structure

_STEPS = 50  # of the bisection of the price
_HIGHEST, _LOWEST = 1e9, 1e-12  # prices of the whole network's cost, in units of damage


@dataclass(frozen=True)
class Choice:
    """What becomes of every slot: its option, and how many of its outputs are left."""

    options: Mapping[str, Any]
    outputs: Mapping[str, int]

    @property
    def key(self) -> str:
        """The same for the same choice."""
        return "; ".join(
            f"{name} {self.outputs[name]}"
            + ("" if option is None else f" {option.ratio:g}/{option.groups}")
            for name, option in self.options.items()
        )


@dataclass(frozen=True)
class Problem:
    """Costs and damages of every chain's slots, as arrays (inputs, outputs, options).

    Attributes:
        chains: of the structure.
        costs: by chain, then by slot.
        damages: likewise.
        fixed: cost of everything else.
    """

    chains: Sequence[Chain]
    costs: list[list[np.ndarray]]
    damages: list[list[np.ndarray]]
    fixed: float

    @classmethod
    def of(cls, structure: Structure, costs: Costs, damages: list[list[np.ndarray]]) -> Problem:
        """For the costs of a structure."""
        tables = [
            [costs.table(chain, index) for index in range(len(chain.slots))]
            for chain in structure.chains
        ]
        return cls(structure.chains, tables, damages, costs.fixed)

    def with_damages(self, damages: list[list[np.ndarray]]) -> Problem:
        """The same costs with other damages."""
        return Problem(self.chains, self.costs, damages, self.fixed)

    @property
    def least(self) -> float:
        """The lowest cost that any choice has."""
        return self._solved(np.inf)[0]

    def choose(self, budget: float) -> Choice | None:
        """The choice of least damage within the budget; None if nothing is.

        The price of cost is bisected: what it leads to is the best for what it costs, and what is left
        of the budget is spent on the slots where that does the most good.
        """
        best = self._solved(np.inf)
        if best[0] > budget:
            return None
        free = self._solved(0.0)
        if free[0] <= budget:
            return self._choice(free[1])
        low, high = np.log(_LOWEST), np.log(_HIGHEST)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            found = self._solved(float(np.exp(middle)))
            if found[0] <= budget:
                best, high = found, middle
            else:
                low = middle
        return self._choice(self._spent(best[1], budget))

    def _solved(self, price: float) -> tuple[float, list[list[tuple[int, int, int]]]]:
        """Cost, and (input, output, option) of every slot, where cost has this price."""
        total, places = self.fixed, []
        scale = self._scale
        for costs, damages in zip(self.costs, self.damages):
            if np.isinf(price):  # the cheapest, and of those the least damage
                weights = [cost / scale * _HIGHEST + damage for cost, damage in zip(costs, damages)]
            else:
                weights = [
                    np.where(np.isinf(cost), np.inf, price * np.where(np.isinf(cost), 0, cost) / scale)
                    + damage
                    for cost, damage in zip(costs, damages)
                ]
            chosen = _shortest(weights)
            places.append(chosen)
            total += sum(float(cost[place]) for cost, place in zip(costs, chosen))
        return total, places

    @property
    def _scale(self) -> float:
        return max(
            1e-30, self.fixed + sum(float(cost[0, 0, 0]) for chain in self.costs for cost in chain)
        )

    def cost(self, places: list[list[tuple[int, int, int]]]) -> float:
        """Of a choice as places in the arrays."""
        return self.fixed + sum(
            float(cost[place])
            for costs, chosen in zip(self.costs, places)
            for cost, place in zip(costs, chosen)
        )

    def _spent(self, places: list[list[tuple[int, int, int]]], budget: float) -> Any:
        """Improve single slots and widths while the budget allows it."""
        while True:
            left = budget - self.cost(places)
            best, gain = None, 0.0
            for index, chain in enumerate(self.chains):
                for changed in _neighbours(chain, self.costs[index], places[index]):
                    more = self._of(self.costs, index, changed) - self._of(
                        self.costs, index, places[index]
                    )
                    less = self._of(self.damages, index, places[index]) - self._of(
                        self.damages, index, changed
                    )
                    if more <= left and less > gain:
                        best, gain = (index, changed), less
            if best is None:
                return places
            places = [*places[: best[0]], best[1], *places[best[0] + 1 :]]

    def _of(
        self, tables: list[list[np.ndarray]], index: int, chosen: list[tuple[int, int, int]]
    ) -> float:
        return sum(float(table[place]) for table, place in zip(tables[index], chosen))

    def _choice(self, places: list[list[tuple[int, int, int]]]) -> Choice:
        found, outputs = {}, {}
        for chain, chosen in zip(self.chains, places):
            for index, (slot, place) in enumerate(zip(chain.slots, chosen)):
                found[slot.name] = options(slot)[place[2]]
                outputs[slot.name] = states(chain, index)[1][place[1]]
        return Choice(found, outputs)


def _shortest(weights: list[np.ndarray]) -> list[tuple[int, int, int]]:
    """The path of least weight along a chain (Viterbi's algorithm)."""
    best = np.zeros(weights[0].shape[0])
    back = []
    for weight in weights:
        option = weight.argmin(2)
        sums = best[:, None] + weight.min(2)
        before = sums.argmin(0)
        best = sums.min(0)
        back.append((before, option))
    state, path = int(best.argmin()), []
    for before, option in reversed(back):
        first = int(before[state])
        path.append((first, state, int(option[first, state])))
        state = first
    return path[::-1]


def _neighbours(
    chain: Chain, costs: list[np.ndarray], chosen: list[tuple[int, int, int]]
) -> list[list[tuple[int, int, int]]]:
    """Choices that differ in one slot's option, or in one width."""
    found = []
    for index, (before, after, option) in enumerate(chosen):
        others = np.flatnonzero(np.isfinite(costs[index][before, after]))
        found += [_with(chosen, index, (before, after, int(k))) for k in others if k != option]
        if index < len(chain.widths):
            _, last, next_option = chosen[index + 1]
            for state in range(costs[index].shape[1]):
                fitting = np.isfinite(costs[index][before, state, option]) and np.isfinite(
                    costs[index + 1][state, last, next_option]
                )
                if state != after and fitting:
                    changed = _with(chosen, index, (before, state, option))
                    found.append(_with(changed, index + 1, (state, last, next_option)))
    return found


def _with(
    chosen: list[tuple[int, int, int]], index: int, place: tuple[int, int, int]
) -> list[tuple[int, int, int]]:
    return [*chosen[:index], place, *chosen[index + 1 :]]
