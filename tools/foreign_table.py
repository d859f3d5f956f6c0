"""The table of tools/foreign.py, and below it why something was refused."""

from __future__ import annotations

from typing import Any

from foreign_checks import CHECKS
from foreign_networks import NETWORKS
from results import markdown

HEADS = ["network", "sizes", "Conv2D", "eligible", "share of MACs", *CHECKS]


def is_wrong(row: dict[str, Any]) -> bool:
    return bool(row.get("error")) or any(
        said.startswith("wrong") for said in row.get("checks", {}).values()
    )


def table(jobs: dict[str, Any]) -> str:
    """A row for every network; numbers in it lead to the reasons below, and what is left is said."""
    reasons: list[str] = []
    rows = [HEADS, *(_row(name, row, reasons) for name, row in jobs.items())]
    listed = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    done = sum(set(CHECKS) <= set(row.get("checks", ())) for row in jobs.values())
    left = f"Every check was run on {done} of {len(NETWORKS)} networks."
    return "\n".join([markdown(rows), left, *([""] if listed else []), *listed]) + "\n"


def _row(name: str, row: dict[str, Any], reasons: list[str]) -> list[str]:
    sizes = ", ".join(map(str, row.get("sizes", ()))) or "–"
    cells = [name, sizes, str(row.get("convolutions", "–")), str(row.get("eligible", "–"))]
    cells.append(f"{row['share']:.0%}" if "share" in row else "–")
    checks = row.get("checks", {})
    missing = f"wrong: {row['error']}" if row.get("error") else ""
    return [*cells, *(_cell(checks.get(key, missing), reasons) for key in CHECKS)]


def _cell(said: str, reasons: list[str]) -> str:
    if said in ("", "right", "nothing"):
        return said or "–"
    verdict, _, reason = said.partition(": ")
    if reason not in reasons:
        reasons.append(reason)
    return f"{verdict} ({reasons.index(reason) + 1})"
