"""The output formats by name: what ``--format`` takes.

To add one: a `Format` (its functions in a module of their own), and a line in `FORMATS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Union

from rich.console import Console

from spconvify.report.comparison import Comparison
from spconvify.report.rows import agreement_lines, metric_lines
from spconvify.report.sites import SiteComparison
from spconvify.report.terminal import inspect_table, print_table
from spconvify.report.text import sites_to_markdown, to_csv, to_json, to_markdown
from spconvify.report.timing_rows import timing_lines

Printed = Union[str, None]  # text that is complete as it is; None: it was printed on the console


@dataclass(frozen=True)
class Format:
    """One way to show results.

    Attributes:
        comparison: shows a comparison; called with (console, comparison, a row for every layer).
        sites: shows the convolutions of a network; called with (console, its name, sites).
    """

    comparison: Callable[[Console, Comparison, bool], Printed]
    sites: Callable[[Console, str, list[SiteComparison]], Printed]


FORMATS = {
    "table": Format(print_table, inspect_table),
    "json": Format(
        lambda _, comparison, per_layer: to_json(comparison),
        lambda _, name, sites: to_json({"model": name, "sites": [vars(site) for site in sites]}),
    ),
    "csv": Format(
        lambda _, comparison, per_layer: to_csv(
            comparison.sites,
            agreement_lines(comparison),
            timing_lines(comparison),
            metric_lines(comparison),
        ),
        lambda _, name, sites: to_csv(sites),
    ),
    "md": Format(
        lambda _, comparison, per_layer: to_markdown(comparison, per_layer),
        lambda _, name, sites: sites_to_markdown(sites),
    ),
}
