"""Table and plot of the results of latency.py."""

from __future__ import annotations

from pathlib import Path

NAMES = {
    "inference": "Paddle Inference",
    "openvino": "Paddle Inference + OpenVINO",
    "onnxruntime": "ONNX Runtime",
}
SHORT = {"inference": "Paddle", "openvino": "OpenVINO", "onnxruntime": "ONNX"}


def write_tables(found: dict[str, dict], path: Path) -> None:
    """`path`: batch 1 on one thread; beside it NAME_grid.md with all, if there are others."""
    path.write_text(to_markdown({name: entry for name, entry in found.items() if is_single(entry)}))
    if not all(map(is_single, found.values())):
        path.with_stem(f"{path.stem}_grid").write_text(to_markdown(found))


def is_single(entry: dict) -> bool:
    """Whether one image was timed on one thread."""
    return (entry["batch"], entry["threads"]) == (1, 1)


def to_markdown(found: dict[str, dict]) -> str:
    """A row for every timing: speed-up of the plain and of the fused network, and the MACs ratio."""
    columns = ["network", "fusion", "engine"]
    if any(entry.get("scattered") for entry in found.values()):
        columns.append("channels")
    texts = len(columns)
    if not all(map(is_single, found.values())):
        columns += ["batch", "threads"]
    columns += ["original", "plain", "fused", "MACs ratio"]
    lines = ["| " + " | ".join(columns) + " |"]
    lines.append("|" + " --- |" * texts + " ---: |" * (len(columns) - texts))
    order = list(dict.fromkeys(name.removesuffix(" scattered") for name in found))
    for name in sorted(found, key=lambda name: order.index(name.removesuffix(" scattered"))):
        entry = found[name]
        cells = {
            **entry,
            "engine": f"{NAMES[entry['engine']]} {entry['engine_version']}",
            "channels": "scattered" if entry.get("scattered") else "first",
            "original": f"{entry['before_ms']['median']:.1f} ms",
            "plain": f"{entry['ratio_plain']:.2f}x",
            "fused": f"**{entry['ratio_fused']:.2f}x**",
            "MACs ratio": f"{entry['macs_ratio']:.2f}x",
        }
        lines.append("| " + " | ".join(str(cells[column]) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def save_plot(found: dict[str, dict], path: Path) -> None:
    """Bars of the speed-ups at batch 1 on one thread, with the MACs ratio as a line over each pair."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = list(filter(is_single, found.values()))
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
    labels = [f"{e['network']}\n{e['fusion']}\n{SHORT[e['engine']]}" for e in shown]
    axes.set_xticks(range(len(shown)), labels, fontsize=8)
    axes.set_ylabel("times faster than the original")
    axes.set_ylim(top=1.15 * axes.get_ylim()[1])
    axes.legend(frameon=False, ncols=3, loc="upper center", fontsize=8)
    figure.savefig(path, dpi=150)
