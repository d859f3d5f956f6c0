"""The options that name a budget, and what they can't go with. Needs no Paddle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spconvify.errors import ArgumentError
from spconvify.workflow.budget import Budget


def budget_of(
    macs: float | None, speedup: float | None, drop: float | None, allow: str | None
) -> Budget | None:
    """Of the options of a command; None if they name none.

    Raises:
        ArgumentError: for a value that can't be, or an option that does nothing without a budget.
    """
    return Budget.of(macs, speedup, drop, allowed(allow))


def allowed(allow: str | None) -> list[str] | None:
    """What --allow lists."""
    return None if allow is None else [name.strip() for name in allow.split(",")]


def check_budget(
    budget: Budget, calibration: object, init: str, plan: Path | None, only_faster: bool
) -> None:
    """Refuse what a budget can't go with, or goes without.

    Raises:
        ArgumentError: names the option.
    """
    if calibration is None:
        raise ArgumentError(
            f"{budget.text} is searched for on images: --calibration FOLDER (or an .npy or .npz file)"
        )
    if plan is not None:
        raise ArgumentError("--plan says what becomes of every layer: leave out it or the budget")
    if init != "lstsq":
        raise ArgumentError(f"a budget fits layers to images, which --init {init} doesn't; leave it out")
    if only_faster:
        raise ArgumentError("--only-faster is what --target-speedup does by itself; leave it out")


def forget_search(budget: Budget) -> None:
    """Take away what a search has found out, once its results are written."""
    from spconvify.search.journal import forget

    forget(budget.journal)


def with_journal(budget: Budget, out: Path) -> Budget:
    """With a place for what a search that is killed has found out: beside what is written at the end."""
    return replace(budget, journal=out.absolute().with_name(f".{out.name}.search"))
