"""The rows and captions that the table and the Markdown file share."""

from __future__ import annotations

from collections.abc import Iterator

from spconvify.report.comparison import Comparison
from spconvify.report.sites import SiteComparison
from spconvify.report.timing_rows import (
    latency_caption,
    latency_rows,
    of_several_sizes,
    sizes,
    too_small,
)
from spconvify.report.units import change, factor, metric_figures, quantity

HEADER = ("", "before", "after", "change", "factor")
HIGH_ERROR = 0.3  # of a layer's output variance; such layers cost most of the accuracy that is lost
# In the names of operators that multiply and add: one that has no formula makes every factor wrong.
_PRODUCTS = ("attention", "attn", "conv", "dot", "gemm", "gru", "kron", "linear", "lstm", "matmul")
SITE_HEADER = ("layer", "in", "out", "stride", "params", "MACs", "verdict")


def title(comparison: Comparison) -> str:
    """What is compared, in one line."""
    if not comparison.inputs:
        return f"{comparison.model} · input {sizes(comparison.input_shape)}"
    named = (f"{name} {sizes(shape)}" for name, shape in comparison.inputs.items())
    return f"{comparison.model} · inputs {', '.join(named)}"


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
    if comparison.narrowed:
        parts.append(f"{len(comparison.narrowed)} narrowed")
    return "SPConv: " + ", ".join(parts)


def summary(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """Parameters, MACs, weights and (if measured) accuracy, the user's own figures and latency."""
    before, after = comparison.before, comparison.after
    yield _row("parameters", before.params, after.params)
    yield _row("MACs", before.macs, after.macs)
    if after.overhead or before.overhead:
        own = (quantity(value) if value else "–" for value in (before.overhead, after.overhead))
        yield ("  of these SPConv's own¹", *own, "", "")
    yield _row("weights", before.bytes, after.bytes, "B")
    if before.top1 is not None and after.top1 is not None:
        yield _accuracy(before.top1, after.top1)
    yield from _metrics(comparison)
    if len(comparison.timings) == 1:
        yield from latency_rows(comparison.timings[0], comparison.macs_ratio)


def _accuracy(before: float, after: float) -> tuple[str, ...]:
    points = f"{after - before:+.2f}".replace("-", "−")
    return ("top-1 accuracy", f"{before:.2f} %", f"{after:.2f} %", f"{points} points", "")


def _metrics(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """The user's own figures; more isn't better for each, so that there is no factor."""
    for name, sides in comparison.metrics.items():
        yield (name, *metric_figures(sides["before"], sides["after"]), "")


def metric_lines(comparison: Comparison) -> list[str]:
    """The user's own figures, a text for each; none without a metric."""
    lines = []
    for name, sides in comparison.metrics.items():
        before, after, by = metric_figures(sides["before"], sides["after"])
        lines.append(f"{name}: {before} → {after}" + (f" ({by})" if by else ""))
    return lines


def _row(name: str, before: int, after: int, unit: str = "") -> tuple[str, ...]:
    return (
        name,
        quantity(before, unit),
        quantity(after, unit),
        change(before, after),
        factor(before, after),
    )


def agreement_lines(comparison: Comparison) -> list[str]:
    """How far the outputs are still the original's, a line for every output; none without images."""
    return comparison.agreement.lines if comparison.agreement else []


def captions(comparison: Comparison) -> Iterator[str]:
    """What the table's numbers mean and leave out."""
    yield "MACs: multiply-accumulates, which the SPConv paper prints as FLOPs."
    if comparison.after.overhead or comparison.before.overhead:
        yield "¹ pooling, gates, additions and BatchNorm inside the SPConv layers."
    if of_several_sizes(comparison):
        yield f"MACs are those of the first input, {sizes(comparison.input_shape)}."
    for line in comparison.notes:
        yield line[:1].upper() + line[1:] + "."
    small = too_small(comparison.timings)
    if small:
        yield small
    if comparison.timings:
        yield "² " + latency_caption(comparison.timings)
        yield "³ speed-up by MACs ratio: 100 % is where time follows the MACs exactly."
    for line in comparison.untimed:
        yield f"No latency in {line}"
    slower = sorted({name for timing in comparison.timings for name in timing.slower})
    if slower:
        yield f"The dense convolution is faster at {', '.join(slower)}; --only-faster keeps it there."
    high = [site for site in comparison.converted if (site.error or 0) > HIGH_ERROR]
    if high:
        names = ", ".join(f"{site.name} {site.error:.2f}" for site in high)
        yield f"High reconstruction error (above {HIGH_ERROR:g}): {names}; a higher ratio there helps."
    kept = [site.name or "(root)" for site in comparison.converted if site.kept_copy]
    if kept:
        yield f"Not fitted, so with copied weights: {', '.join(kept)}."
    products = list(filter(_is_product, comparison.uncounted))
    if products:
        yield f"Products not counted, so MACs are more than said: {', '.join(products)}."
    others = [name for name in comparison.uncounted if name not in products]
    if others:
        yield f"Operators not counted: {', '.join(others)}."


def _is_product(operator: str) -> bool:
    return any(part in operator for part in _PRODUCTS) and "interp" not in operator


def site_row(site: SiteComparison) -> tuple[str, ...]:
    """One convolution, as SITE_HEADER has it."""
    common = (site.name or "(root)", str(site.in_channels), str(site.out_channels), str(site.stride))
    changed = site.eligible or site.kept is not None or site.error is not None
    if not changed:
        return (*common, quantity(site.params_before), quantity(site.macs_before), site.reason)
    how = f"ratio {site.effective_ratio:.3g}, groups {site.groups}" if site.eligible else site.reason
    if site.kept is not None:
        how += f", {site.kept[0]} → {site.kept[1]} channels"
    if site.error is not None:
        how += f", error {site.error:.3f}"
    if site.kept_copy:
        how += ", weights copied"
    if site.form is not None:
        how += f", {site.form}"
    return (
        *common,
        f"{quantity(site.params_before)} → {quantity(site.params_after)}",
        f"{quantity(site.macs_before)} → {quantity(site.macs_after)}",
        how,
    )
