"""The table on the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spconvify.printable import printable
from spconvify.report.comparison import Comparison
from spconvify.report.rows import (
    HEADER,
    SITE_HEADER,
    agreement_lines,
    captions,
    settings,
    site_row,
    summary,
    title,
)
from spconvify.report.sites import SiteComparison
from spconvify.report.timing_rows import (
    TIMING_HEADER,
    sizes,
    threads_text,
    timing_header,
    timings,
)
from spconvify.report.units import quantity

_UNLIMITED = 10_000
_LESS = re.compile(r"[\d.]+x")  # of a row that isn't measured: how many times less
_MEASURED = TIMING_HEADER[3:]  # the columns behind those that say what was timed


def print_table(console: Console, comparison: Comparison, per_layer: bool = False) -> None:
    """Print the summary, a line per convolution if `per_layer`, and what the numbers mean."""
    console.print()
    console.print(_text(title(comparison), "bold"))
    console.print(_text(settings(comparison)))
    if per_layer:
        console.print(_site_table(console, comparison))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in HEADER:
        table.add_column(column, justify="left" if not column else "right", no_wrap=True)
    for name, *cells, factor in summary(comparison):
        style = "dim" if name.startswith(" ") else ""
        table.add_row(*map(_text, (name, *cells)), _coloured(factor), style=style)
    console.print(table)
    if len(comparison.timings) > 1:
        console.print(_timing_table(console, comparison))
    poor = comparison.agreement is not None and comparison.agreement.poor
    for line in agreement_lines(comparison):
        console.print(_text(line, "bold red" if poor else "bold"))
    for line in captions(comparison):
        console.print(_text(line, "dim"))


def _text(text: str, style: str = "") -> Text:
    """What a cell shows: the text itself, and nothing that Rich or a terminal would take for more."""
    return Text(printable(text), style)


def _coloured(factor: str) -> Text:
    if "slower" in factor:
        return Text(factor, style="bold red")
    return Text(factor, style="bold green" if "faster" in factor or _LESS.fullmatch(factor) else "")


def _timing_table(console: Console, comparison: Comparison) -> Table:
    """A line for every timing, and the factor's interval under it; where the terminal is too narrow,
    batch and threads are under the engine's name."""
    head = timing_header(comparison)
    rows = [list(map(_text, row)) for row in timings(comparison)]
    table = _of_timings(head, rows)
    unlimited = console.options.update(max_width=_UNLIMITED)
    if console.measure(table, options=unlimited).maximum <= console.width:
        return table
    where = len(head) - len(_MEASURED)
    narrow = []
    for row, timing in zip(rows, comparison.timings):
        under = f"batch {timing.batch}, {threads_text(timing.threads)}"
        if "input" in head:
            under = f"{sizes(timing.input_shape)}\n{under}"
        narrow.append([row[0].append(f"\n{under}", "dim"), *row[where:]])
    measured = (column.replace(" ", "\n") for column in head[where:])
    return _of_timings(("engine", *measured), narrow)


def _of_timings(head: Sequence[str], rows: Iterable[Sequence[Text]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in (*head[:-2], head[-1]):  # the interval has none of its own
        is_name = column == "engine"
        table.add_column(column, justify="left" if is_name else "right", no_wrap=not is_name)
    for *cells, factor, interval, share in rows:
        both = Text("\n").join([_coloured(factor.plain), interval])
        table.add_row(*cells, both, share)
    return table


def _site_table(console: Console, comparison: Comparison) -> Table:
    """A line for every convolution; two where the terminal is too narrow, so that names stay whole."""
    rows = [([printable(cell) for cell in site_row(site)], site.eligible) for site in comparison.sites]
    table = _of_sites(rows)
    unlimited = console.options.update(max_width=_UNLIMITED)
    if console.measure(table, options=unlimited).maximum <= console.width:
        return table
    return _of_sites([([_in_two_lines(cell) for cell in row], eligible) for row, eligible in rows])


def _in_two_lines(cell: str) -> str:
    return cell.replace(" → ", " →\n").replace(", ", ",\n", 1)


def _of_sites(rows: Iterable[tuple[Sequence[str], bool]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in SITE_HEADER:
        number = column not in ("layer", "verdict")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for cells, eligible in rows:
        table.add_row(*map(Text, cells), style="" if eligible else "dim")
    return table


def inspect_table(console: Console, name: str, sites: list[SiteComparison]) -> None:
    """Print every convolution of a network with its verdict."""
    eligible = [site for site in sites if site.eligible]
    console.print(_text(f"{name}: {len(eligible)} of {len(sites)} convolutions are eligible", "bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("layer", overflow="fold")
    for column in ("in", "out", "stride", "params"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for site in sites:
        verdict = _text("eligible", "green") if site.eligible else _text(site.reason, "dim")
        if site.eligible:
            kept = round((site.effective_ratio or 0) * site.in_channels)
            verdict.append(f": {kept} + {site.in_channels - kept} channels", style="default")
        table.add_row(
            _text(site.name or "(root)"),
            str(site.in_channels),
            str(site.out_channels),
            str(site.stride),
            quantity(site.params_before),
            verdict,
        )
    console.print(table)
