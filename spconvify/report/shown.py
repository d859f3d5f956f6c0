"""A Comparison, or a Frontier, where somebody prints it in Python, or lets a notebook show it."""

from __future__ import annotations

import io
from typing import Callable

from rich.console import Console

from spconvify.report.comparison import Comparison
from spconvify.report.frontier import Frontier
from spconvify.report.frontier_table import print_frontier
from spconvify.report.terminal import print_table

_WIDTH = 100
_HTML = '<pre style="font-family: monospace; line-height: normal">{code}</pre>'


def as_text(comparison: Comparison) -> str:
    """The table without colours, its rows as lines."""
    return _plain(lambda console: print_table(console, comparison))


def as_html(comparison: Comparison) -> str:
    """The table with its colours, names of layers as text."""
    console = _console(io.StringIO(), record=True)
    print_table(console, comparison)
    return console.export_html(inline_styles=True, code_format=_HTML)


def frontier_as_text(frontier: Frontier) -> str:
    """The table of several networks, likewise."""
    return _plain(lambda console: print_frontier(console, frontier))


def _plain(show: Callable[[Console], None]) -> str:
    """What `show` prints, without colours, as lines."""
    stream = io.StringIO()
    show(_console(stream))
    return "\n".join(line.rstrip() for line in stream.getvalue().strip("\n").splitlines())


def _console(stream: io.StringIO, record: bool = False) -> Console:
    return Console(
        file=stream,
        width=_WIDTH,
        record=record,
        highlight=False,
        markup=False,
        emoji=False,
        force_jupyter=False,
    )
