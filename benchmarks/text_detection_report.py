"""The Markdown tables of `text_detection.py`: what slim detectors find, and how fast they are."""

from __future__ import annotations

from results import markdown


def tables(jobs: dict) -> str:
    """What was found and read, then the latencies if there are any."""
    parts = [found(jobs), latencies(jobs)]
    return "\n".join(part for part in parts if part)


def found(jobs: dict) -> str:
    """A row for every detector: cost, masks, and characters read right where it found text."""
    head = [
        "detector",
        "fitted to pages",
        "MACs",
        "mask IoU",
        "lines",
        "regions",
        "characters read right",
        "lost",
    ]
    rows = [head]
    for name, job in jobs.items():
        if "right" not in job:
            continue
        macs, pages = "–", str(job.get("pages") or "–")
        if "macs" in job:
            macs = f"{job['macs'] / 1e6:,.0f} of {job['macs_before'] / 1e6:,.0f} M"
        iou = f"{job['iou']:.3f}" if "iou" in job else "–"
        lost = f"{job['lost_percent']:.2f} %" if "lost_percent" in job else "–"
        read = f"{job['right']:,} of {job['characters']:,}"
        rows.append([name, pages, macs, iou, str(job["lines"]), str(job["regions"]), read, lost])
    return markdown(rows) if len(rows) > 1 else ""


def latencies(jobs: dict) -> str:
    """A row for every detector and engine: median and p10-p90 in ms, before and after."""
    rows = [["detector, engine", "before, ms", "after, ms", "faster by"]]
    for name, job in jobs.items():
        if "fused_ms" not in job:
            continue
        gain = job["speedup"]
        shown = f"{gain:.2f}×" if gain and gain > 1 else "not measurably" if gain is None else "slower"
        rows.append([name, interval(job["before_ms"]), interval(job["fused_ms"]), shown])
    return markdown(rows) if len(rows) > 1 else ""


def interval(latency: dict) -> str:
    """``"61.2 (60.1–65.0)"``."""
    return f"{latency['median']:.1f} ({latency['p10']:.1f}–{latency['p90']:.1f})"
