"""A frontier: several networks made of one, and what each of them keeps, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spconvify.engines import registry
from spconvify.report.comparison import Comparison
from spconvify.report.side import Side
from spconvify.report.timing_rows import threads_text
from spconvify.report.units import median, quantity, times

if TYPE_CHECKING:
    from spconvify.surgery.planning import Plan

SEARCHED, UNIFORM = "searched", "the same everywhere"


@dataclass
class Point:
    """One network of a frontier.

    Attributes:
        name: of its plan's file, as ``macs-0.4``.
        how: what was done: searched for, or the same everywhere.
        plan: that gives it.
        comparison: of it with the original.
    """

    name: str
    how: str
    plan: Plan
    comparison: Comparison

    @property
    def kept(self) -> float | None:
        """Top-1 accuracy in per cent, or agreement where there is none; None for neither."""
        after, agreement = self.comparison.after, self.comparison.agreement
        if after.top1 is not None:
            return after.top1
        return None if agreement is None else agreement.kept

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"name": self.name, "how": self.how, **self.comparison.to_dict()}


@dataclass
class Frontier:
    """What `spconvify.frontier` gives.

    Attributes:
        model: what the network is called.
        points: those with the most MACs first.
        missed: budgets that can't be had, and why.
    """

    model: str
    points: list[Point] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """The table, as the command line prints it."""
        from spconvify.report import frontier_as_text

        return frontier_as_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "model": self.model,
            "points": [point.to_dict() for point in self.points],
            "missed": self.missed,
        }


def header(frontier: Frontier) -> tuple[str, ...]:
    """The columns; accuracy, agreement and latency only where they were measured."""
    first = frontier.points[0].comparison if frontier.points else None
    columns = ["network", "MACs", "share", "parameters"]
    if first is not None:
        columns += ["agreement"] if first.agreement is not None else []
        columns += ["top-1"] if first.after.top1 is not None else []
        columns += list(first.after.metrics)
        columns += ["latency", "against the original"] if first.timings else []
    return tuple(columns)


def rows(frontier: Frontier) -> Iterator[tuple[str, ...]]:
    """The original, and every point."""
    if not frontier.points:
        return
    first = frontier.points[0].comparison
    yield ("original", *_figures(first, first.before), *_before(first))
    for point in frontier.points:
        yield (f"{point.name}, {point.how}", *_figures(point.comparison, point.comparison.after),
               *_after(point.comparison))  # fmt: skip


def _figures(comparison: Comparison, side: Side) -> tuple[str, ...]:
    share = f"{100 * side.macs / comparison.before.macs:.1f} %"
    return quantity(side.macs), share, quantity(side.params)


def _before(comparison: Comparison) -> list[str]:
    timing = next(iter(comparison.timings), None)
    latency = [] if timing is None else [median(timing.before), ""]
    return [*_measured(comparison, comparison.before, "–"), *latency]


def _after(comparison: Comparison) -> list[str]:
    agreement = comparison.agreement
    kept = None if agreement is None else agreement.kept
    timing = next(iter(comparison.timings), None)
    latency = [] if timing is None else [median(timing.fused), times(timing.before, timing.fused)]
    text = "–" if kept is None else f"{kept:.2f} %"
    return [*_measured(comparison, comparison.after, text), *latency]


def _measured(comparison: Comparison, side: Side, kept: str) -> list[str]:
    """The cells of what may have been measured; `kept` is the agreement's."""
    cells = [] if comparison.agreement is None else [kept]
    cells += [] if side.top1 is None else [f"{side.top1:.2f} %"]
    return [*cells, *(f"{value:.4g}" for value in side.metrics.values())]


def captions(frontier: Frontier) -> Iterator[str]:
    """What the table's numbers mean."""
    first = frontier.points[0].comparison if frontier.points else None
    if first is not None and first.agreement is not None:
        where = f" {first.agreement.where}" if first.agreement.where else ""
        yield f"Agreement with the original on {first.agreement.images} images{where}."
    if first is not None and first.timings:
        timing = first.timings[0]
        yield (
            f"Latency in {registry.label(timing.engine)}, {threads_text(timing.threads)}, medians; each "
            "by turns with the original."
        )
    if first is not None:
        yield from (f"No latency: {reason}." for reason in first.untimed)
        if first.uncounted:
            yield f"Operators not counted: {', '.join(first.uncounted)}."
    for line in frontier.missed:
        yield line[:1].upper() + line[1:] + "."
