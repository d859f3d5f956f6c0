"""A JSON file of results that grows job by job, and is complete or as it was at any moment."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any


def machine() -> str:
    """Processor and number of cores, for the facts."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor()}, {os.cpu_count()} cores"


class Results:
    """Results by job name, with facts about the run.

    Args:
        path: the file; what it holds already counts as done.
        facts: about machine and versions; they are replaced.
    """

    def __init__(self, path: Path, facts: dict[str, Any]):
        self._path = path
        self.jobs: dict[str, Any] = {}
        if path.exists():
            self.jobs = json.loads(path.read_text())["jobs"]
        self._facts = facts

    def has(self, name: str) -> bool:
        """Whether a job is done."""
        return name in self.jobs

    def add(self, name: str, result: Any) -> None:
        """Write a result down."""
        self.jobs[name] = result
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"facts": self._facts, "jobs": self.jobs}, indent=2) + "\n")
        os.replace(temporary, self._path)


def markdown(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is its head, all columns but the first are numbers."""
    head, *rest = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
