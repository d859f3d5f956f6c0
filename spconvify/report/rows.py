"""The rows and captions that the table and the Markdown file share."""

from __future__ import annotations

from collections.abc import Iterator

from spconvify.comparison import Comparison, SiteComparison
from spconvify.engines import ENGINES
from spconvify.report.units import change, factor, interval, median, quantity, verdict

HEADER = ("", "before", "after", "change", "factor")
HIGH_ERROR = 0.3  # of a layer's output variance; such layers cost most of the accuracy that is lost
SITE_HEADER = ("layer", "in", "out", "stride", "params", "MACs", "verdict")


def title(comparison: Comparison) -> str:
    """What is compared, in one line."""
    return f"{comparison.model} · input {'x'.join(map(str, comparison.input_shape))}"


def settings(comparison: Comparison) -> str:
    """How it was converted, in one line."""
    parts = []
    if comparison.ratio is not None:
        parts.append(f"ratio {comparison.ratio:g}")
    if comparison.groups is not None:
        parts.append(f"{comparison.groups} groups" if comparison.groups > 1 else "1 group")
    if comparison.fusion is not None:
        parts.append(f"{comparison.fusion} fusion")
    parts.append(f"{len(comparison.converted)} of {len(comparison.sites)} convolutions converted")
    return "SPConv: " + ", ".join(parts)


def summary(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Parameters, MACs, weights and (if measured) latency."""
    before, after = comparison.before, comparison.after
    yield _row("parameters", before.params, after.params)
    yield _row("MACs", before.macs, after.macs)
    if after.overhead or before.overhead:
        own = (quantity(value) if value else "–" for value in (before.overhead, after.overhead))
        yield ("  of these SPConv's own¹", *own, "", "")
    yield _row("weights", before.bytes, after.bytes, "B")
    if before.top1 is not None and after.top1 is not None:
        yield _accuracy(before.top1, after.top1)
    if before.latency is not None and after.latency is not None:
        latencies = (median(before.latency), median(after.latency))
        says = verdict(before.latency, after.latency, comparison.speedup)
        yield ("latency²", *latencies, change(before.latency.median, after.latency.median), says)
        yield ("  p10–p90", interval(before.latency), interval(after.latency), "", "")


def _accuracy(before: float, after: float) -> tuple[str, ...]:
    points = f"{after - before:+.2f}".replace("-", "−")
    return ("top-1 accuracy", f"{before:.2f} %", f"{after:.2f} %", f"{points} points", "")


def _row(name: str, before: int, after: int, unit: str = "") -> tuple[str, ...]:
    return (
        name,
        quantity(before, unit),
        quantity(after, unit),
        change(before, after),
        factor(before, after),
    )


def captions(comparison: Comparison) -> Iterator[str]:
    """What the table's numbers mean and leave out."""
    yield "MACs: multiply-accumulates, which the SPConv paper prints as FLOPs."
    if comparison.after.overhead or comparison.before.overhead:
        yield "¹ pooling, gates, additions and BatchNorm inside the SPConv layers."
    if comparison.before.latency is not None:
        yield "² " + latency_caption(comparison)
    high = [site for site in comparison.converted if (site.error or 0) > HIGH_ERROR]
    if high:
        names = ", ".join(f"{site.name} {site.error:.2f}" for site in high)
        yield f"High reconstruction error (above {HIGH_ERROR:g}): {names}; a higher ratio there helps."
    if comparison.uncounted:
        yield f"Operators not counted: {', '.join(comparison.uncounted)}."


def latency_caption(comparison: Comparison) -> str:
    """What was timed, how and where."""
    facts = comparison.facts
    threads = "1 thread" if comparison.threads == 1 else f"{comparison.threads} threads"
    engine = ENGINES.get(comparison.engine or "", comparison.engine)
    where = ", ".join(filter(None, (facts.get("dtype"), comparison.device, facts.get("processor"))))
    text = f"median (p10–p90), {engine} {facts.get('version', '')}, batch {comparison.batch}, {threads}"
    text += f", {where}."
    if comparison.speedup is None:
        text += " The intervals overlap: no difference can be claimed."
    return text


def site_row(site: SiteComparison) -> tuple[str, ...]:
    """One convolution, as SITE_HEADER has it."""
    common = (site.name or "(root)", str(site.in_channels), str(site.out_channels), str(site.stride))
    if not site.eligible:
        return (*common, quantity(site.params_before), quantity(site.macs_before), site.reason)
    how = f"ratio {site.effective_ratio:.3g}, groups {site.groups}"
    if site.error is not None:
        how += f", error {site.error:.3f}"
    return (
        *common,
        f"{quantity(site.params_before)} → {quantity(site.params_after)}",
        f"{quantity(site.macs_before)} → {quantity(site.macs_after)}",
        how,
    )
