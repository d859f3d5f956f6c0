"""What a timing gives, and when two timings differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["faster", "slower", "no difference", "noisy", "too small to gain"]

MOSTLY_OPERATORS = 1.5  # ms, about one: what an engine needs to start a small network's operators
_TIGHT = 1.1  # from end to end of a speed-up's interval: then "no difference" is more than a guess


@dataclass(frozen=True)
class Latency:
    """Time of one run in ms: the median, and the interval that holds the middle 80 % of the runs."""

    median: float
    p10: float
    p90: float
    runs: int

    def to_dict(self) -> dict[str, float]:
        """As JSON has it, in ms."""
        return {"median": self.median, "p10": self.p10, "p90": self.p90}

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Latency:
        """Summarise single runs."""
        import numpy as np  # only whoever measures waits for it

        p10, median, p90 = np.percentile(list(milliseconds), [10, 50, 90])
        return cls(float(median), float(p10), float(p90), len(milliseconds))


def speedup(before: Latency, after: Latency) -> float | None:
    """Median before / median after; None where the p10-p90 intervals overlap: nothing can be claimed."""
    if before.p10 <= after.p90 and after.p10 <= before.p90:
        return None
    return before.median / after.median


def speedup_interval(before: Latency, after: Latency) -> tuple[float, float]:
    """The least and the most that the speed-up may be: the p10 of one by the p90 of the other."""
    return before.p10 / after.p90, before.p90 / after.p10


def verdict(before: Latency, after: Latency) -> Verdict:
    """What two latencies say of each other, and nothing more than they say."""
    ratio, (least, most) = speedup(before, after), speedup_interval(before, after)
    if ratio is not None:
        return "faster" if ratio > 1 else "slower"
    if max(before.median, after.median) <= MOSTLY_OPERATORS:
        return "too small to gain"
    return "no difference" if most / least <= _TIGHT else "noisy"
