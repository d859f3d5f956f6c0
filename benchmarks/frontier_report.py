"""The frontier's results as a Markdown table and a plot, both written beside the JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from frontier_methods import METHODS
from results import markdown

# Marker and line style tell the families apart without colour.
_STYLES = {
    "SPConv, sum": ("o", "-"),
    "SPConv, gap": ("s", "-"),
    "least-squares pruning": ("^", "--"),
    "pruned by half, SPConv": ("D", "-."),
    "L1 pruning": ("v", ":"),
    "FPGM pruning": ("<", ":"),
    "HetConv": ("x", "--"),
    "OctConv": ("+", "--"),
    "GhostConv": ("*", "--"),
}


def render(path: Path) -> None:
    """Write ``NAME.md`` and ``NAME.png`` for a results file."""
    data = json.loads(path.read_text())
    path.with_suffix(".md").write_text(table(data))
    try:
        plot(data, path.with_suffix(".png"))
    except ImportError:
        print("no plot: it needs matplotlib (pip install matplotlib)")


def table(data: dict[str, Any]) -> str:
    """Rows by share of MACs; a dash where nothing was measured."""
    jobs = data["jobs"]
    whole = jobs["original"]
    budgets = sorted({int(budget) for job in jobs.values() for budget in job["top1"]})
    timed = any("latency_ms" in job for job in jobs.values())
    head = ["network", "MACs", "params", *(f"top-1, {_steps(b)}" for b in budgets)]
    rows = [head + ["latency"] * timed]
    order = sorted(jobs, key=lambda name: (-jobs[name]["macs"], name))
    for name in order:
        job = jobs[name]
        shares = [f"{job[key] / whole[key]:.3f}" for key in ("macs", "params")]
        accuracies = [_number(job["top1"].get(str(budget))) for budget in budgets]
        latency = job.get("latency_ms")
        times = [f"{latency['median']:.2f} ms" if latency else "–"] * timed
        rows.append([name, *shares, *accuracies, *times])
    return markdown(rows)


def plot(data: dict[str, Any], path: Path) -> None:
    """Accuracy against the share of MACs, a panel for every budget; and against latency if known.

    What lies more than ten points below the original is in the table alone.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    jobs = data["jobs"]
    budgets = [b for b in ("0", "200") if sum(b in job["top1"] for job in jobs.values()) > 1]
    panels = [(b, "macs") for b in budgets]
    if budgets and any("latency_ms" in job for job in jobs.values()):
        panels.append((budgets[-1], "latency"))
    figure, axes = plt.subplots(1, len(panels), figsize=(6 * len(panels), 5), squeeze=False)
    for axis, (budget, against) in zip(axes[0], panels):
        _panel(axis, jobs, budget, against)
    axes[0][0].set_ylabel("top-1 on 10,000 test images, %")
    axes[0][-1].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _panel(axis: Any, jobs: dict[str, Any], budget: str, against: str) -> None:
    whole = jobs["original"]
    for family, (marker, line) in _STYLES.items():
        points = sorted(
            (_position(jobs[name], whole, against), jobs[name]["top1"][budget])
            for name, method in METHODS.items()
            if method.family == family
            and budget in jobs.get(name, {}).get("top1", {})
            and (against == "macs" or "latency_ms" in jobs[name])
        )
        if points:
            thick = 1.6 if "SPConv" in family else 0.9
            axis.plot(
                *zip(*points), marker=marker, linestyle=line, label=family, color="black", lw=thick,
                markerfacecolor="white", markersize=7,
            )  # fmt: skip
    axis.axhline(whole["top1"]["0"], color="grey", lw=0.8)
    where = (0.02, whole["top1"]["0"])
    axis.annotate("original", where, xycoords=("axes fraction", "data"), fontsize=8, va="bottom")
    bottom = min(j["top1"][budget] for j in jobs.values() if budget in j["top1"])
    axis.set_ylim(max(bottom - 1, whole["top1"]["0"] - 10), whole["top1"]["0"] + 0.6)
    axis.set_xlabel("share of the MACs" if against == "macs" else "ms an image")
    axis.set_title(_steps(int(budget)))
    axis.grid(alpha=0.3)


def _position(job: dict[str, Any], whole: dict[str, Any], against: str) -> float:
    return job["macs"] / whole["macs"] if against == "macs" else job["latency_ms"]["median"]


def _steps(budget: int) -> str:
    return f"{budget:,} steps" if budget else "no training"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
