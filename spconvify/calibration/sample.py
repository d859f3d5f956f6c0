"""Which positions of a layer's maps a fit looks at, and what the original network has there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spconvify.calibration.capture import Call
from spconvify.calibration.effort import FULL, Effort
from spconvify.calibration.moments import Positions

# Feature values kept per layer (512 MiB of float32): memory doesn't grow with the images.
BUDGET = 2**27


@dataclass(frozen=True)
class Wanted:
    """What the original network has at the sampled positions of one call.

    `where` are (image, row, column), `size` is (images, height, width) of the map, `output` and `addend`
    (or None) are (rows, L), `left_out` (rows,) says which rows a trial fit doesn't see.
    """

    where: tuple[np.ndarray, ...]
    size: tuple[int, int, int]
    output: np.ndarray
    addend: np.ndarray | None
    left_out: np.ndarray


class Sampler:
    """Chooses positions call by call, the same number for every image; the same ones for a seed.

    Args:
        channels: input channels of the layer.
        images: how many will come.
        calls: of the layer in one forward pass.
        seed: of the sample.
        taps: features of a channel, besides the pooled one.
        budget: most feature values to keep.
        effort: how many positions are enough.
    """

    def __init__(
        self,
        channels: int,
        images: int,
        calls: int = 1,
        *,
        seed: int = 0,
        taps: int = 9,
        budget: int = BUDGET,
        effort: Effort = FULL,
    ):
        maps = max(images, 1) * max(calls, 1)
        most = max(1, budget // (channels * (taps + 1) * maps))
        enough = max(effort.fewest_per_image, -(-effort.rows_per_channel * channels // maps))
        self._positions = Positions(min(most, enough), seed)
        self._images = max(images, 1)
        self._first = self._seen = 0  # images and calls so far

    def batch(self, calls: list[Call]) -> list[Wanted]:
        """The rows of every call of one batch."""
        rows = [self._rows(call) for call in calls]
        self._first += len(calls[-1].output) if calls else 0
        return rows

    def _rows(self, call: Call) -> Wanted:
        images, height, width, _ = call.output.shape
        where = self._positions.choose(images, height, width, self._seen)
        self._seen += 1
        addend = None if call.addend is None else call.addend[where]
        out = self._left_out(where, height * width)
        return Wanted(where, (images, height, width), call.output[where], addend, out)

    def _left_out(self, where: tuple[np.ndarray, ...], positions: int) -> np.ndarray:
        """Which rows a trial fit doesn't see: a quarter of the images, of a single one its lower end."""
        image, row, column = where
        if self._images == 1:
            place = row * (column.max() + 1) + column
            return place >= positions - max(1, positions // 4)
        every = min(4, self._images)
        return (self._first + image) % every == every - 1
