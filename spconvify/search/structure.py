"""What there is to choose: convolutions, the channels between them, and the chains that both form."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import paddle
from paddle import nn

from spconvify.network.graph import data_format_of, record
from spconvify.network.inputs import Inputs, Sample
from spconvify.network.run import evaluating, run
from spconvify.operators import registry
from spconvify.surgery.sites import find_sites
from spconvify.surgery.widths import Width, find_widths

# Shares of a width's channels that are tried.
SHARES = (1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.1875, 0.125, 0.0625)


@dataclass(frozen=True)
class Slot:
    """A dense convolution that runs once, and what can be done with it.

    Attributes:
        name: of the site.
        conv: the layer.
        input_shape: of what it is given, with the batch.
        positions: of its output, all images of the batch together.
        replaceable: whether an operator can take its place, as far as its geometry goes.
    """

    name: str
    conv: Any
    input_shape: tuple[int, ...]
    positions: int
    replaceable: bool

    @property
    def channels(self) -> tuple[int, int]:
        """Inputs and outputs."""
        return int(self.conv._in_channels), int(self.conv._out_channels)

    @property
    def taps(self) -> int:
        """Of its kernel."""
        return int(self.conv._kernel_size[0]) * int(self.conv._kernel_size[1])


@dataclass(frozen=True)
class Chain:
    """Slots of which each gives its channels to the next one alone; most often there is one."""

    slots: tuple[Slot, ...]
    widths: tuple[Width, ...]


@dataclass
class Structure:
    """All that a search chooses from.

    Attributes:
        slots: by name, in the order in which they run.
        chains: of the slots.
    """

    slots: dict[str, Slot] = field(default_factory=dict)
    chains: list[Chain] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        model: nn.Layer,
        inputs: Inputs,
        *,
        prune: bool = True,
        spconv: bool = True,
        chosen: Collection[str] | None = None,
    ) -> Structure:
        """That of a network.

        Args:
            model: comes back as it was.
            inputs: what it is run on.
            prune: whether channels may go.
            spconv: whether layers may be replaced.
            chosen: names of the convolutions that may change; None for all.

        Raises:
            ArgumentError: if the network doesn't run on the inputs.
        """
        with evaluating(model), paddle.no_grad():
            slots = run(model, inputs, act=lambda sample: _slots(model, sample, spconv))
            widths = run(model, inputs, act=lambda sample: find_widths(model, sample)) if prune else []
        if chosen is not None:
            slots = {name: slot for name, slot in slots.items() if name in chosen}
        widths = [width for width in widths if width.producer in slots and width.consumer in slots]
        return cls(slots, _chains(slots, widths))

    @property
    def widths(self) -> list[Width]:
        """Of all chains."""
        return [width for chain in self.chains for width in chain.widths]


def counts(channels: int) -> list[int]:
    """How many of a width's channels may stay: all, and shares of them that suit a processor's lanes."""
    multiple = 16 if channels >= 256 else 8 if channels >= 64 else 4 if channels >= 32 else 2
    multiple = multiple if channels >= 16 else 1
    rounded = {max(multiple, round(channels * share / multiple) * multiple) for share in SHARES[1:]}
    return [channels, *sorted((count for count in rounded if count < channels), reverse=True)]


def _slots(model: nn.Layer, sample: Sample, spconv: bool) -> dict[str, Slot]:
    sites = {site.name: site for site in find_sites(model)}
    graph = record(model, {name: site.layer for name, site in sites.items()}, sample)
    found = {}
    operator = registry.find(registry.DEFAULT)
    for name, outputs in graph.outputs.items():
        site, given = sites[name], graph.inputs[name]
        conv: Any = site.layer
        if len(outputs) != 1 or type(conv) is not nn.Conv2D or site.obstacle or conv._groups != 1:
            continue
        if not isinstance(given[0], paddle.Tensor) or len(given[0].shape) != 4:
            continue
        positions = int(outputs[0].size) // int(conv._out_channels)
        replaceable = spconv and not operator.why_not(conv)
        found[name] = Slot(name, conv, tuple(given[0].shape), positions, replaceable)
    return found


def _chains(slots: dict[str, Slot], widths: Sequence[Width]) -> list[Chain]:
    behind = {width.producer: width for width in widths}
    consumers = {width.consumer for width in widths}
    chains = []
    for name in slots:
        if name in consumers:
            continue
        members, between = [slots[name]], []
        while (width := behind.get(members[-1].name)) is not None:
            between.append(width)
            members.append(slots[width.consumer])
        chains.append(Chain(tuple(members), tuple(between)))
    return chains


def size_of_map(slot: Slot) -> tuple[int, int]:
    """Height and width of what a slot is given."""
    shape = slot.input_shape
    return (shape[2], shape[3]) if data_format_of(slot.conv) == "NCHW" else (shape[1], shape[2])
