"""Numbers as people read them."""

from __future__ import annotations

import math

from spconvify.engines import Latency, speedup_interval, verdict

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def quantity(value: float, unit: str = "") -> str:
    """25557032 -> '25.56 M'; `unit` follows the prefix."""
    for size, prefix in _PREFIXES:
        if value >= 0.9995 * size:
            return f"{value / size:.{_decimals(value / size)}f} {prefix}{unit}"
    return f"{value:g} {unit}".rstrip()


def _decimals(value: float) -> int:
    return 2 if value < 100 else 1


def change(before: float, after: float) -> str:
    """How much less (or more), in per cent of `before`."""
    if not before:
        return ""
    percent = 100.0 * (after - before) / before
    return f"{percent:+.1f} %".replace("-", "−")


def factor(before: float, after: float) -> str:
    """How many times less; '' where that says nothing."""
    return f"{before / after:.2f}x" if before and after else ""


def median(latency: Latency) -> str:
    """The median in ms."""
    return f"{latency.median:.{_digits(latency)}f} ms"


def interval(latency: Latency) -> str:
    """The p10-p90 interval in ms."""
    return f"{latency.p10:.{_digits(latency)}f}–{latency.p90:.{_digits(latency)}f}"


def _digits(latency: Latency) -> int:
    return 1 if latency.median >= 10 else 2


def times(before: Latency, after: Latency) -> str:
    """What two latencies say of each other, in a few characters."""
    said, ratio = verdict(before, after), before.median / after.median
    if said == "slower":
        return f"{1 / ratio:.2f}x slower"
    if said in ("faster", "noisy"):
        return f"{ratio:.2f}x{',' if said == 'noisy' else ''} {said}"
    return said.removesuffix(" to gain")


def times_interval(before: Latency, after: Latency) -> str:
    """How sure the factor in `times` is."""
    least, most = speedup_interval(before, after)
    if verdict(before, after) == "slower":
        least, most = 1 / most, 1 / least
    return f"{least:.2f}–{most:.2f}x"


def metric_figures(before: float | None, after: float | None) -> tuple[str, str, str]:
    """Both figures of a metric with four digits or more, and the difference; – for one that isn't."""
    there = [abs(value) for value in (before, after) if value]
    largest = max(there, default=1.0)
    decimals = 4 - math.ceil(math.log10(largest)) if largest < 1e9 else 0
    form = f".{max(0, decimals)}f" if decimals <= 9 else ".3e"
    shown = ["–" if value is None else f"{value:{form}}" for value in (before, after)]
    by = f"{after - before:+{form}}" if before is not None and after is not None else ""
    return shown[0].replace("-", "−"), shown[1].replace("-", "−"), by.replace("-", "−")
