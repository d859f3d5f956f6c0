"""What a layer's output goes through: BatchNorm, a shortcut's addition, an activation that clips."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_SMALLEST_GAIN = 1e-3  # of the largest; what a BatchNorm nearly mutes can't be fitted through it


@dataclass(frozen=True)
class OutputPath:
    """``clip(gain · output + offset + shortcut)``, per output channel; `gain` and `offset` are (L,).

    "Inward" values are the layer's own output, "outward" ones are in front of the activation.
    """

    gain: np.ndarray
    offset: np.ndarray
    clip: tuple[float, float] = (-math.inf, math.inf)

    @property
    def clips(self) -> bool:
        """Whether the activation does anything."""
        return self.clip != (-math.inf, math.inf)

    @property
    def muted(self) -> np.ndarray:
        """Outputs that the BatchNorm takes out; whatever the layer gives there will do."""
        size = np.abs(self.gain)
        return size <= _SMALLEST_GAIN * size.max(initial=0.0)

    def part(self, own: slice) -> OutputPath:
        """The path of some of the outputs."""
        return OutputPath(self.gain[own], self.offset[own], self.clip)

    def outward(self, output: np.ndarray, shortcut: np.ndarray | None = None) -> np.ndarray:
        """(rows, L) of the layer -> what the activation gets."""
        value = self.gain * output + self.offset
        return value if shortcut is None else value + shortcut

    def inward(self, value: np.ndarray, shortcut: np.ndarray | None = None) -> np.ndarray:
        """What the layer must give for `value` to reach the activation; 0 where it is muted."""
        if shortcut is not None:
            value = value - shortcut
        muted = self.muted
        value = (value - self.offset) / np.where(muted, np.float32(1.0), self.gain)
        if muted.any():
            value[:, muted] = 0.0
        return value

    def seen(self, value: np.ndarray) -> np.ndarray:
        """Behind the activation."""
        return np.clip(value, *self.clip) if self.clips else value

    def good_enough(self, wanted: np.ndarray, value: np.ndarray) -> np.ndarray:
        """The nearest to `value` that looks like `wanted` behind the activation."""
        low, high = self.clip
        target = np.where(wanted <= low, np.minimum(value, low), wanted)
        return np.where(wanted >= high, np.maximum(value, high), target)
