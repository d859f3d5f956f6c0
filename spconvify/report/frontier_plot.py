"""What every network of a frontier keeps, over what it costs, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spconvify.printable import printable
from spconvify.report.frontier import SEARCHED, Frontier, Point
from spconvify.report.plot import empty_figure, save_figure

_STYLES = ("o-", "s--", "^:", "d-.", "v--")  # by what was done: told apart without colours


def save_frontier_plot(
    frontier: Frontier, path: Path, overwrite: bool = True, place: Path | None = None
) -> None:
    """Draw what is kept over latency where it was measured, else over the share of the MACs.

    Raises:
        ImportError, SpconvifyError: as `spconvify.report.plot.save_plot`.
    """
    save_figure(lambda: _drawn(frontier), path, overwrite, place)


def _drawn(frontier: Frontier) -> Any:
    figure = empty_figure(6.5)
    axes = figure.add_subplot()
    first = frontier.points[0].comparison
    timed = bool(first.timings)
    hows = list(dict.fromkeys(point.how for point in frontier.points))
    for how, style in zip(sorted(hows, key=lambda how: how != SEARCHED), _STYLES * len(hows)):
        own = sorted((_cost(p, timed), p.kept) for p in frontier.points if p.how == how and p.kept)
        axes.plot([x for x, _ in own], [y for _, y in own], style, label=how, ms=5, lw=1.2)
    if timed:
        axes.axvline(first.timings[0].before.median, color="0.6", lw=0.8)
        axes.set_xlabel(f"latency in {first.timings[0].engine}, ms (line: the original)")
    else:
        axes.set_xlabel("MACs, share of the original's in %")
    top1 = first.before.top1
    if top1 is not None:
        axes.axhline(top1, color="0.6", lw=0.8)
    axes.set_ylabel("agreement in %" if top1 is None else "top-1 accuracy in % (line: the original)")
    axes.set_title(printable(frontier.model), fontsize=9)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _cost(point: Point, timed: bool) -> float:
    one = point.comparison
    return one.timings[0].fused.median if timed else 100 * one.after.macs / one.before.macs
