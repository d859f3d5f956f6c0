"""JSON, CSV and Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from spconvify.comparison import Comparison, SiteComparison
from spconvify.report.rows import (
    HEADER,
    SITE_HEADER,
    TIMING_HEADER,
    agreement_lines,
    captions,
    settings,
    site_row,
    summary,
    timings,
    title,
)


def to_json(data: Any) -> str:
    """Indented JSON of a Comparison, or of anything that json takes."""
    return json.dumps(data.to_dict() if isinstance(data, Comparison) else data, indent=2)


def to_csv(sites: list[SiteComparison], agreement: Sequence[str] | None = None) -> str:
    """One line per convolution, with a header; `agreement` is a column with the same in every line."""
    columns = list(SiteComparison.__dataclass_fields__)
    common = {} if agreement is None else {"agreement": "; ".join(agreement)}
    text = io.StringIO()
    writer = csv.DictWriter(text, [*columns, *common], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**vars(site), **common} for site in sites)
    return text.getvalue().rstrip("\n")


def to_markdown(comparison: Comparison, per_layer: bool = False) -> str:
    """The table as GitHub-flavoured Markdown."""
    lines = [f"**{title(comparison)}**", "", settings(comparison), ""]
    lines += _markdown_table(HEADER, summary(comparison))
    if len(comparison.timings) > 1:
        lines += ["", *_markdown_table(TIMING_HEADER, timings(comparison))]
    if per_layer:
        lines += ["", sites_to_markdown(comparison.sites)]
    agreement = [f"**{line}**  " for line in agreement_lines(comparison)]
    return "\n".join([*lines, "", *agreement, *(f"{line}  " for line in captions(comparison))])


def sites_to_markdown(sites: list[SiteComparison]) -> str:
    """Every convolution with its verdict, as a Markdown table."""
    return "\n".join(_markdown_table(SITE_HEADER, map(site_row, sites)))


def _markdown_table(header, rows) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|---" + "|---:" * (len(header) - 1) + "|"]
    return lines + ["| " + " | ".join(cell.strip() for cell in row) + " |" for row in rows]
