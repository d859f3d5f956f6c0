"""A frontier in each of the output formats."""

from __future__ import annotations

import csv
import io
from typing import Callable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spconvify.printable import printable
from spconvify.report.formats import Printed
from spconvify.report.frontier import Frontier, captions, header, rows
from spconvify.report.text import csv_cell, markdown, markdown_table, to_json


def print_frontier(console: Console, frontier: Frontier) -> None:
    """Print the table; under a network's name what was done, where the terminal is narrow."""
    console.print()
    console.print(Text(printable(frontier.model), "bold"))
    found = [[printable(cell) for cell in row] for row in rows(frontier)]
    table = _table(frontier, found)
    if console.measure(table, options=console.options.update(max_width=10_000)).maximum > console.width:
        table = _table(frontier, [[cell.replace(", ", "\n", 1) for cell in row] for row in found])
    console.print(table)
    for line in captions(frontier):
        console.print(Text(printable(line), "dim"))


def _table(frontier: Frontier, found: list[list[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, column in enumerate(header(frontier)):
        table.add_column(Text(printable(column)), justify="right" if index else "left")
    for row in found:
        slower = row[-1].endswith("slower")
        table.add_row(*map(Text, row), style="red" if slower else "")
    return table


def _markdown(frontier: Frontier) -> str:
    lines = [f"**{markdown(frontier.model)}**", "", *markdown_table(header(frontier), rows(frontier))]
    return "\n".join([*lines, "", *(f"{markdown(line)}  " for line in captions(frontier))])


def _csv(frontier: Frontier) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    metrics = list(frontier.points[0].comparison.after.metrics) if frontier.points else []
    columns = ["name", "how", "macs", "macs_share", "params", "kept", "before_ms", "after_ms"]
    writer.writerow([*columns, *map(csv_cell, metrics)])
    for point in frontier.points:
        one = point.comparison
        timing = one.timings[0] if one.timings else None
        latencies = [None, None] if timing is None else [timing.before.median, timing.fused.median]
        share = one.after.macs / one.before.macs
        cells = [point.name, point.how, one.after.macs, share, one.after.params, point.kept, *latencies]
        cells += [one.after.metrics.get(name) for name in metrics]
        writer.writerow(map(csv_cell, cells))
    return text.getvalue().rstrip("\n")


def _printed(console: Console, frontier: Frontier) -> None:
    print_frontier(console, frontier)


FRONTIER_FORMATS: dict[str, Callable[[Console, Frontier], Printed]] = {
    "table": _printed,
    "json": lambda _, frontier: to_json(frontier.to_dict()),
    "csv": lambda _, frontier: _csv(frontier),
    "md": lambda _, frontier: _markdown(frontier),
}
