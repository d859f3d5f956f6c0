"""A budget in place of settings: what is asked for, checked before anything takes time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from spconvify.errors import ArgumentError, Option

ALLOWED = ("spconv", "prune")
PREFIXES = ("", "pruned-", "spconv-")  # searched for, and two that are the same everywhere
MACS = (0.6, 0.5, 0.4, 0.3, 0.25)  # shares of a frontier that nothing is said about


@dataclass(frozen=True)
class Budget:
    """What the slim network may cost, or may lose.

    Attributes:
        macs: share of the original's multiply-accumulates, in (0, 1).
        speedup: times that it is faster in an engine, above 1.
        drop: points of accuracy, or of agreement where there are no labels, that may be lost at most.
        allow: what may be done to layers.
        journal: where a search that is killed leaves what it has found out; None nowhere.
    """

    macs: float | None = None
    speedup: float | None = None
    drop: float | None = None
    allow: frozenset[str] = frozenset(ALLOWED)
    journal: Path | None = None

    @classmethod
    def of(
        cls,
        macs: Any = None,
        speedup: Any = None,
        drop: Any = None,
        allow: Iterable[str] | str | None = None,
        journal: Path | None = None,
    ) -> Budget | None:
        """From what a call was given; None if it names no budget.

        Raises:
            ArgumentError: if there are several, or one is out of range.
        """
        given = {"target_macs": macs, "target_speedup": speedup, "max_drop": drop}
        named = [name for name, value in given.items() if value is not None]
        if not named:
            if allow is not None:
                raise ArgumentError(Option("allow"), " goes with a budget, as ", Option("target_macs"))
            return None
        if len(named) > 1:
            raise ArgumentError("give one of ", Option(named[0]), " and ", Option(named[1]))
        _check(named[0], given[named[0]])
        return cls(macs, speedup, drop, _allowed(allow), journal)

    @property
    def short(self) -> str:
        """What was asked for, for names of files."""
        if self.macs is not None:
            return f"macs-{self.macs:g}"
        return f"speedup-{self.speedup:g}" if self.speedup is not None else f"drop-{self.drop:g}"

    @property
    def text(self) -> str:
        """What was asked for, for people."""
        if self.macs is not None:
            return f"{100 * self.macs:g} % of the MACs"
        if self.speedup is not None:
            return f"{self.speedup:g} times as fast"
        return f"at most {self.drop:g} points lost"


def budgets_of(
    macs: Sequence[float] | None, speedups: Sequence[float] | None, allow: Any = None
) -> list[Budget]:
    """A budget for each of the targets, without twins, the mildest first.

    Raises:
        ArgumentError: if there are targets of both kinds, none, or one that can't be.
    """
    if macs is not None and speedups is not None:
        raise ArgumentError("give one of ", Option("target_macs"), " and ", Option("target_speedup"))
    macs, speedups = (
        _targets(name, given) for name, given in (("target_macs", macs), ("target_speedup", speedups))
    )
    if speedups is not None:
        found = [Budget.of(speedup=value, allow=allow) for value in sorted(set(speedups))]
    else:
        shares = MACS if macs is None else macs
        found = [Budget.of(macs=value, allow=allow) for value in sorted(set(shares), reverse=True)]
    if not found:
        raise ArgumentError("a frontier has one budget at least: give ", Option("target_macs"))
    budgets = [budget for budget in found if budget is not None]
    for one, other in zip(budgets, budgets[1:]):
        if one.short == other.short:
            raise ArgumentError(
                f"two targets are alike to six digits: {one.short}; leave out one of them"
            )
    return budgets


def _targets(name: str, given: Any) -> list[float] | None:
    """Several numbers, or one.

    Raises:
        ArgumentError: for anything else.
    """
    if given is None:
        return None
    several = isinstance(given, Iterable) and not isinstance(given, (str, Real))
    values = list(given) if several else [given]
    for value in values:
        _check(name, value)
    return [float(value) for value in values]


def point_name(budget: Budget, prefix: str = "") -> str:
    """What a network of a frontier is called: one of `PREFIXES`, and its budget."""
    return f"{prefix}{budget.short}"


def point_names(budgets: Iterable[Budget]) -> list[str]:
    """Of all networks that a frontier may have."""
    return [point_name(budget, prefix) for budget in budgets for prefix in PREFIXES]


def _check(name: str, value: Any) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number:
        raise ArgumentError(Option(name), f" {value!r} isn't a number")
    if name == "target_macs" and not 0 < value < 1:
        raise ArgumentError(
            Option(name), f" {value:g} isn't inside (0, 1): it is a share of the original's, as 0.4"
        )
    if name == "target_speedup" and not value > 1:
        raise ArgumentError(Option(name), f" {value:g} isn't above 1: it is a factor, as 1.8")
    if name == "max_drop" and not 0 < value < 100:
        raise ArgumentError(Option(name), f" {value:g} isn't inside (0, 100): it is in points, as 0.5")


def _allowed(allow: Iterable[str] | str | None) -> frozenset[str]:
    if allow is None:
        return frozenset(ALLOWED)
    found = frozenset([allow] if isinstance(allow, str) else allow)
    unknown = sorted(map(str, found - set(ALLOWED)))
    if unknown or not found:
        said = f" {unknown[0]!r} is unknown" if unknown else " is empty"
        raise ArgumentError(Option("allow"), f"{said}; there are {' and '.join(ALLOWED)}")
    return found
