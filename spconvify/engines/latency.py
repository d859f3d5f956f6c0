"""What a timing gives, and when two timings differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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
