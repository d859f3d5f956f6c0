"""Timing: the latencies of a network before and after, and how they were measured. Needs no Paddle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spconvify.engines import Latency, speedup, speedup_interval, verdict
from spconvify.engines.latency import Verdict


@dataclass
class Timing:
    """Latencies of one run, and how they were measured: one engine, batch and number of threads.

    `before` is the original network and `after` the converted one as it is; `fused` is the converted
    one with its BatchNorms folded and its layers in their `forms` (by site name), which is what
    `spconvify.export` deploys. The original is fused by the same rules, so that its folding isn't
    counted as SPConv's gain.
    """

    engine: str
    threads: int
    batch: int
    device: str
    before: Latency
    after: Latency
    fused: Latency
    forms: dict[str, str] = field(default_factory=dict)
    slower: list[str] = field(default_factory=list)  # sites where the dense convolution is faster
    facts: dict[str, str] = field(default_factory=dict)  # engine version, processor, dtype
    input_shape: tuple[int, ...] = ()  # of the pictures, or of the first input

    @property
    def speedup(self) -> float | None:
        """Median latency before / fused; None if the p10-p90 intervals overlap."""
        return speedup(self.before, self.fused)

    @property
    def verdict(self) -> Verdict:
        """What the latencies before and fused say of each other, in words."""
        return verdict(self.before, self.fused)

    @property
    def ratio(self) -> float:
        """Median latency before / fused, whatever the intervals say."""
        return self.before.median / self.fused.median

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "engine": self.engine,
            "threads": self.threads,
            "batch": self.batch,
            "input_shape": list(self.input_shape),
            "device": self.device,
            **{f"engine_{key}": value for key, value in self.facts.items()},
            **{f"{name}_ms": getattr(self, name).to_dict() for name in ("before", "after", "fused")},
            "speedup": self.speedup,
            "speedup_interval": list(speedup_interval(self.before, self.fused)),
            "verdict": self.verdict,
            "forms": self.forms,
            "slower_than_dense": self.slower,
        }


@dataclass(frozen=True)
class AgainstOriginal:
    """Latencies of the original network and of the exported one, which took turns in one engine."""

    original: Latency
    exported: Latency

    @property
    def verdict(self) -> Verdict:
        """What they say of the exported one, in words."""
        return verdict(self.original, self.exported)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "original_ms": self.original.to_dict(),
            "exported_ms": self.exported.to_dict(),
            "speedup": speedup(self.original, self.exported),
            "speedup_interval": list(speedup_interval(self.original, self.exported)),
            "verdict": self.verdict,
        }

    @classmethod
    def of(cls, data: dict[str, Any]) -> AgainstOriginal:
        """What `to_dict` describes."""
        return cls(*(Latency(**data[key], runs=0) for key in ("original_ms", "exported_ms")))
