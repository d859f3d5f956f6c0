"""Time in an engine as the cost of a choice: layers' times added up, held to the network's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spconvify.deploy.layer_times import LayerShape, LayerTimes
from spconvify.progress import Progress, nothing
from spconvify.search.costs import Costs
from spconvify.search.options import fits, options
from spconvify.search.structure import Slot, Structure

# Shares of a width at which layers are timed; between them times are interpolated.
_GRID = (1.0, 0.5, 0.25)


@dataclass
class LatencyCosts(Costs):
    """Times in ms, by a table of layers' times.

    Attributes:
        times: of layers in the engine.
        fixed: what the network as it is takes beyond its slots.
    """

    times: LayerTimes
    fixed: float = 0.0

    @classmethod
    def measured(
        cls, structure: Structure, times: LayerTimes, total: float, progress: Progress = nothing
    ) -> LatencyCosts:
        """With all layers timed; `total` is the time of the network as it is, in ms."""
        times.measure(dict.fromkeys(_shapes(structure)), progress)
        costs = cls(times)
        own = sum(costs.of(slot, None, *slot.channels) for slot in structure.slots.values())
        costs.fixed = max(0.0, total - own)
        return costs

    def of(self, slot: Slot, option: Any, inputs: int, outputs: int) -> float:
        """See `Costs`."""
        shape = LayerShape.of(slot.conv, slot.input_shape, option)
        return self.times.estimate(shape.narrowed(inputs, outputs))


def _shapes(structure: Structure) -> Iterator[LayerShape]:
    producers = {width.producer for width in structure.widths}
    consumers = {width.consumer for width in structure.widths}
    for name, slot in structure.slots.items():
        inputs, outputs = slot.channels
        for option in options(slot):
            for before in _grid(inputs) if name in consumers else [inputs]:
                for after in _grid(outputs) if name in producers else [outputs]:
                    if fits(option, before, after):
                        shape = LayerShape.of(slot.conv, slot.input_shape, option)
                        yield shape.narrowed(before, after)


def _grid(channels: int) -> list[int]:
    return sorted({max(2, round(channels * share / 2) * 2) for share in _GRID} | {channels})
