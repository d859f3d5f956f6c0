"""Table and plot of the results of latency.py."""

from __future__ import annotations

from pathlib import Path

NAMES = {
    "inference": "Paddle Inference",
    "openvino": "Paddle Inference + OpenVINO",
    "onnxruntime": "ONNX Runtime",
}


def to_markdown(found: dict[str, dict]) -> str:
    """A row for every timing: speed-up of the plain and of the fused network, and the MACs ratio."""
    head = [
        "network",
        "fusion",
        "engine",
        "batch",
        "threads",
        "original",
        "plain",
        "fused",
        "MACs ratio",
    ]
    both = any(entry.get("scattered") for entry in found.values())
    head[3:3] = ["channels"] * both
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * (3 + both) + " ---: |" * 6]
    order = list(dict.fromkeys(name.removesuffix(" scattered") for name in found))
    for name in sorted(found, key=lambda name: order.index(name.removesuffix(" scattered"))):
        entry = found[name]
        cells = [
            entry["network"],
            entry["fusion"],
            f"{NAMES[entry['engine']]} {entry['engine_version']}",
            str(entry["batch"]),
            str(entry["threads"]),
            f"{entry['before_ms']['median']:.1f} ms",
            f"{entry['ratio_plain']:.2f}x",
            f"**{entry['ratio_fused']:.2f}x**",
            f"{entry['macs_ratio']:.2f}x",
        ]
        cells[3:3] = ["scattered" if entry.get("scattered") else "first"] * both
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def save_plot(found: dict[str, dict], path: Path) -> None:
    """Bars of the speed-ups at batch 1 on one thread, with the MACs ratio as a line over each pair."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [entry for entry in found.values() if (entry["batch"], entry["threads"]) == (1, 1)]
    figure = Figure(figsize=(max(6.0, 0.75 * len(shown)), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for offset, key, label, colour, text in (
        (-0.2, "ratio_plain", "the article's form", "0.85", "black"),
        (+0.2, "ratio_fused", "fused", "#1f5fa8", "white"),
    ):
        places = [place + offset for place in range(len(shown))]
        values = [entry[key] for entry in shown]
        axes.bar(places, values, 0.4, label=label, color=colour, edgecolor="black", lw=0.5)
        for place, value in zip(places, values):
            axes.text(place, value - 0.03, f"{value:.2f}", ha="center", va="top", fontsize=7, color=text)
    for place, entry in enumerate(shown):
        label = "MACs ratio" if place == 0 else None
        axes.plot([place - 0.42, place + 0.42], [entry["macs_ratio"]] * 2, "k-", lw=1.5, label=label)
    axes.axhline(1.0, color="black", lw=0.6, ls=":")
    labels = [f"{e['network']}\n{e['fusion']}\n{NAMES[e['engine']].split()[0]}" for e in shown]
    axes.set_xticks(range(len(shown)), labels, fontsize=8)
    axes.set_ylabel("times faster than the original")
    axes.set_ylim(top=1.15 * axes.get_ylim()[1])
    axes.legend(frameon=False, ncols=3, loc="upper center", fontsize=8)
    figure.savefig(path, dpi=150)
