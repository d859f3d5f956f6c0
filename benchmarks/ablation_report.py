"""The ablation's results as a Markdown table and a plot, both written beside the JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from results import markdown


def render(path: Path) -> None:
    """Write ``NAME.md`` and ``NAME.png`` for a results file."""
    data = json.loads(path.read_text())
    path.with_suffix(".md").write_text(table(data["jobs"]))
    try:
        plot(data["jobs"], path.with_suffix(".png"))
    except ImportError:
        print("no plot: it needs matplotlib (pip install matplotlib)")


def table(jobs: dict[str, Any]) -> str:
    """A row for every variant: MACs, accuracy at the start, and after the training, seed by seed."""
    seeds = sorted({int(seed) for job in jobs.values() for seed in job["top1"]})
    head = ["variant", "MACs", "before", *(f"after, seed {seed}" for seed in seeds)]
    rows = [head]
    for job in jobs.values():
        after = [f"{job['top1'][str(s)]:.2f}" if str(s) in job["top1"] else "–" for s in seeds]
        rows.append([job["text"], f"{job['share']:.3f}", f"{job['start']:.2f}", *after])
    return markdown(rows)


def plot(jobs: dict[str, Any], path: Path) -> None:
    """A line a variant: a cross for every seed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 0.4 * len(jobs) + 1.2))
    names = [f"{job['text']} ({job['share']:.2f} of the MACs)" for job in jobs.values()]
    for row, job in enumerate(jobs.values()):
        axis.plot(list(job["top1"].values()), [row] * len(job["top1"]), "x", color="black")
    axis.set_yticks(range(len(jobs)), names, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("top-1 on 10,000 test images after the training, %")
    axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
