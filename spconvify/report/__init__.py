"""Show a Comparison: on the terminal, as JSON, CSV or Markdown, or as a plot."""

from __future__ import annotations

from spconvify.report.exported import export_lines
from spconvify.report.formats import FORMATS
from spconvify.report.rows import agreement_lines
from spconvify.report.shown import as_html, as_text, frontier_as_text
from spconvify.report.terminal import inspect_table, print_table
from spconvify.report.text import sites_to_markdown, to_csv, to_json, to_markdown

__all__ = [
    "FORMATS",
    "agreement_lines",
    "as_html",
    "as_text",
    "export_lines",
    "frontier_as_text",
    "inspect_table",
    "print_table",
    "sites_to_markdown",
    "to_csv",
    "to_json",
    "to_markdown",
]
