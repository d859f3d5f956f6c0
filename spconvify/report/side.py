"""One of the two networks that a comparison puts side by side."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spconvify.network.counting import Cost


@dataclass
class Side:
    """One of the two networks: parameters, MACs, bytes of weights.

    `overhead` is the part of `macs` that SPConv layers spend on pooling, gates and BatchNorm.
    """

    params: int
    macs: int
    bytes: int
    overhead: int = 0
    top1: float | None = None  # per cent, on images that were given with labels
    metrics: dict[str, float] = field(default_factory=dict)  # of the user's own function, by name

    @classmethod
    def of(cls, cost: Cost) -> Side:
        """The side that a `Cost` describes."""
        return cls(cost.params, cost.macs, cost.bytes, cost.overhead)

    def take(self, judged: Side) -> None:
        """Take in how well a network does."""
        self.top1, self.metrics = judged.top1, judged.metrics

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "params": self.params,
            "macs": self.macs,
            "spconv_overhead_macs": self.overhead,
            "bytes": self.bytes,
            "top1": self.top1,
        }
