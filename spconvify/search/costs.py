"""What every choice costs: multiply-accumulates, or ms in an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from spconvify.search.options import fits, macs, options
from spconvify.search.structure import Chain, Slot, Structure, counts


class Costs(ABC):
    """The cost of a slot with so many channels; whatever isn't in a slot costs `fixed`."""

    fixed: float = 0.0

    @abstractmethod
    def of(self, slot: Slot, option: Any, inputs: int, outputs: int) -> float:
        """Of one slot."""

    def table(self, chain: Chain, index: int) -> np.ndarray:
        """(inputs, outputs, options) of a chain's slot, in the order of `states` and `options`.

        What can't be is infinite.
        """
        slot = chain.slots[index]
        before, after = states(chain, index)
        found = np.full((len(before), len(after), len(options(slot))), np.inf)
        for place in np.ndindex(*found.shape):
            inputs, outputs, option = before[place[0]], after[place[1]], options(slot)[place[2]]
            if fits(option, inputs, outputs):
                found[place] = self.of(slot, option, inputs, outputs)
        return found

    def dense(self, structure: Structure) -> float:
        """Of the network as it is."""
        return self.fixed + sum(self.of(slot, None, *slot.channels) for slot in structure.slots.values())


class MacCosts(Costs):
    """Multiply-accumulates; `total` are those of the network as it is, by `spconvify.cost`."""

    def __init__(self, structure: Structure, total: int):
        own = sum(macs(slot, None, *slot.channels) for slot in structure.slots.values())
        self.fixed = float(total - own)

    def of(self, slot: Slot, option: Any, inputs: int, outputs: int) -> float:
        """See `Costs`."""
        return float(macs(slot, option, inputs, outputs))


def states(chain: Chain, index: int) -> tuple[list[int], list[int]]:
    """How many inputs and outputs a chain's slot may have."""
    inputs, outputs = chain.slots[index].channels
    before = counts(inputs) if index else [inputs]
    after = counts(outputs) if index < len(chain.widths) else [outputs]
    return before, after
