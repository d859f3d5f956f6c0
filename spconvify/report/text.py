"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from spconvify.printable import json_text, printable
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
from spconvify.report.timing_rows import timing_header, timings

# What makes a spreadsheet compute a cell instead of showing it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# An underscore within a word is one to Markdown too.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|~&]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def to_json(data: Any) -> str:
    """Indented JSON of a Comparison, or of anything that json takes."""
    return json_text(data.to_dict() if isinstance(data, Comparison) else data)


def to_csv(
    sites: list[SiteComparison],
    agreement: Sequence[str] | None = None,
    latencies: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> str:
    """One line per convolution, with a header.

    `agreement` is a column with the same in every line; so are `latencies` and `metrics`, if there are
    some.
    A name that is a formula to spreadsheets gets a quote before it.
    """
    columns = list(SiteComparison.__dataclass_fields__)
    common = {} if agreement is None else {"agreement": "; ".join(agreement)}
    if metrics:
        common["metrics"] = "; ".join(metrics)
    if latencies:
        common["latency"] = "; ".join(latencies)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *common], lineterminator="\n")
    writer.writeheader()
    rows = ({**vars(site), **common} for site in sites)
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue().rstrip("\n")


def csv_cell(value: Any) -> Any:
    """A value as a cell that no spreadsheet computes."""
    if not isinstance(value, str):
        return value
    return f"'{printable(value)}" if value.lstrip(" ").startswith(_FORMULA) else printable(value)


def markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKDOWN.sub(r"\\\g<0>", printable(text))


def to_markdown(comparison: Comparison, per_layer: bool = False) -> str:
    """The table as GitHub-flavoured Markdown."""
    lines = [f"**{markdown(title(comparison))}**", "", markdown(settings(comparison)), ""]
    lines += markdown_table(HEADER, summary(comparison))
    if len(comparison.timings) > 1:
        lines += ["", *markdown_table(timing_header(comparison), timings(comparison))]
    if per_layer:
        lines += ["", sites_to_markdown(comparison.sites)]
    agreement = [f"**{markdown(line)}**  " for line in agreement_lines(comparison)]
    notes = [f"{markdown(line)}  " for line in captions(comparison)]
    return "\n".join([*lines, "", *agreement, *notes])


def sites_to_markdown(sites: list[SiteComparison]) -> str:
    """Every convolution with its verdict, as a Markdown table."""
    return "\n".join(markdown_table(SITE_HEADER, map(site_row, sites)))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table whose first column is text."""
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return lines + ["| " + " | ".join(markdown(cell.strip()) for cell in row) + " |" for row in rows]
