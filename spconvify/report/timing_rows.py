"""What of latencies the table and the Markdown file show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spconvify.deploy.latencies import Timing
from spconvify.engines import registry
from spconvify.engines.latency import MOSTLY_OPERATORS
from spconvify.report.comparison import Comparison
from spconvify.report.units import change, interval, median, times, times_interval

TIMING_HEADER = (
    "engine", "batch", "threads", "before", "not fused", "fused", "factor", "p10–p90", "of bound³",
)  # fmt: skip


def sizes(shape: Sequence[int]) -> str:
    """1x3x224x224."""
    return "x".join(map(str, shape))


def latency_rows(timing: Timing, bound: float) -> Iterator[tuple[str, ...]]:
    """The rows of the only timing; `bound` is the MACs ratio."""
    before, after, fused = timing.before, timing.after, timing.fused
    by = change(before.median, fused.median)
    yield ("latency²", median(before), median(fused), by, times(before, fused))
    yield ("  p10–p90", interval(before), interval(fused), "", times_interval(before, fused))
    by = change(before.median, after.median)
    yield ("  not fused", "", median(after), by, times(before, after))
    yield ("  share of bound³", "", "", "", share(timing, bound))


def timing_header(comparison: Comparison) -> tuple[str, ...]:
    """The columns of `timings`: with the input's height and width, where several were timed."""
    engine, *others = TIMING_HEADER
    return (engine, "input", *others) if of_several_sizes(comparison) else TIMING_HEADER


def of_several_sizes(comparison: Comparison) -> bool:
    """Whether inputs of several sizes were timed."""
    return len({timing.input_shape[1:] for timing in comparison.timings}) > 1


def timings(comparison: Comparison) -> Iterator[tuple[str, ...]]:
    """A line for every engine, input, batch and number of threads, as `timing_header` has it."""
    several = of_several_sizes(comparison)
    for timing in comparison.timings:
        yield (
            registry.label(timing.engine),
            *([sizes(timing.input_shape)] if several else []),
            str(timing.batch),
            str(timing.threads),
            median(timing.before),
            median(timing.after),
            median(timing.fused),
            times(timing.before, timing.fused),
            times_interval(timing.before, timing.fused),
            share(timing, comparison.macs_ratio),
        )


def timing_lines(comparison: Comparison) -> list[str]:
    """Every timing as one text, where there are several: for formats without a table of them."""
    if len(comparison.timings) < 2:
        return []
    return [
        f"{registry.label(t.engine)}, input {sizes(t.input_shape)}, "
        f"{threads_text(t.threads)}: {t.before.median:.4g} ms before, {t.fused.median:.4g} ms after, "
        f"{times(t.before, t.fused)} ({times_interval(t.before, t.fused)})"
        for t in comparison.timings
    ]


def threads_text(threads: int) -> str:
    """1 thread, 2 threads."""
    return "1 thread" if threads == 1 else f"{threads} threads"


def share(timing: Timing, bound: float) -> str:
    """How much of the MACs ratio the speed-up reaches."""
    return f"{100.0 * timing.ratio / bound:.0f} %"


def latency_caption(timings: list[Timing]) -> str:
    """What was timed, how and where."""
    engines = {registry.label(t.engine): t.facts.get("version", "") for t in timings}
    parts = ["median (p10–p90)", *(f"{engine} {version}".strip() for engine, version in engines.items())]
    if len(timings) == 1:
        parts.append(f"batch {timings[0].batch}")
        parts.append(threads_text(timings[0].threads))
    facts = timings[0].facts
    parts += filter(None, (facts.get("dtype"), timings[0].device, facts.get("processor")))
    text = ", ".join(parts) + "; BatchNorm is folded on both sides."
    if any(timing.verdict in ("noisy", "no difference") for timing in timings):
        where = "The intervals overlap" if len(timings) == 1 else "Where the intervals overlap"
        text += f" {where}: no difference can be claimed."
    return text


def too_small(timings: list[Timing]) -> str:
    """That a network is too small to get faster; "" if it isn't, or got faster all the same."""
    small = [
        timing.before
        for timing in timings
        if timing.before.median <= MOSTLY_OPERATORS and timing.verdict != "faster"
    ]
    if not small:
        return ""
    largest = max(small, key=lambda latency: latency.median)
    return f"Too small to gain: {median(largest)} is mostly operators, and SPConv has more of them."
