"""Narrow: some of the channels between two convolutions go, of which nothing else sees any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from spconvify.errors import ArgumentError
from spconvify.operators.recognised import Shapes
from spconvify.surgery.change import Change

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.surgery.places import Places
    from spconvify.surgery.sites import Site

_SHOWN = 4  # channels in a message


@dataclass(frozen=True)
class Narrow(Change):
    """Keep some of the channels that one convolution gives and another one takes.

    Attributes:
        producer: the site whose outputs these are.
        consumer: the site whose inputs they are; nothing else takes them.
        keep: which channels stay, by their number in the network before, in ascending order.
        norms: the BatchNorms between both, by name.
    """

    producer: str
    consumer: str
    keep: tuple[int, ...]
    norms: tuple[str, ...] = ()
    kind: ClassVar[str] = "narrow"

    def __post_init__(self) -> None:
        """Refuse what are no channels of any convolution.

        Raises:
            ArgumentError: if they aren't whole numbers from 0 on, in ascending order, or none.
        """
        numbers = all(type(channel) is int and channel >= 0 for channel in self.keep)
        if not self.keep or not numbers or list(self.keep) != sorted(set(self.keep)):
            some = ", ".join(map(repr, self.keep[:_SHOWN])) + (", …" if len(self.keep) > _SHOWN else "")
            raise ArgumentError(
                f"the plan keeps channels ({some}) of {self.producer!r}; give their numbers from 0 on, "
                "each once, in ascending order"
            )

    def __str__(self) -> str:
        count = len(self.keep)
        return f"{self.producer}: {count} channel{'s' if count > 1 else ''} to {self.consumer}"

    @property
    def roles(self) -> tuple[tuple[str, str], ...]:
        """One gives, the other takes."""
        return (("outputs", self.producer), ("inputs", self.consumer))

    @property
    def fitted(self) -> tuple[str, ...]:
        """The one that makes up for what is gone; what the other one still gives stays the same."""
        return (self.consumer,)

    def to_dict(self) -> dict[str, Any]:
        """The fields."""
        return {
            "producer": self.producer,
            "consumer": self.consumer,
            "keep": list(self.keep),
            "norms": list(self.norms),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Narrow:
        """See `Change`."""
        rest = dict(values)
        producer, consumer, keep = (rest.pop(key) for key in ("producer", "consumer", "keep"))
        norms = rest.pop("norms", [])
        names = [producer, consumer, *norms]
        if rest or not all(isinstance(name, str) for name in names) or not isinstance(keep, list):
            raise TypeError("a narrowing is two sites, a list of channels and one of BatchNorms")
        return cls(producer, consumer, tuple(keep), tuple(norms))

    @classmethod
    def of_checkpoint(cls, shapes: Shapes) -> list[Change]:
        """None: only with the network before can it be told that one is narrower (`take_widths`)."""
        return []

    def why_not(self, site: Site) -> str:
        """See `Change`."""
        from spconvify.network.replacement import Replacement

        conv: Any = site.layer
        if site.obstacle or isinstance(conv, Replacement):
            return site.obstacle or "it isn't a convolution any more"
        if conv._groups != 1:
            return f"it has {conv._groups} groups, so its channels can't be chosen one by one"
        channels = conv._out_channels if site.name == self.producer else conv._in_channels
        if self.keep[-1] >= channels:
            return f"the plan keeps its channel {self.keep[-1]}, and it has {channels}"
        return ""

    def macs_per_position(self, site: Site) -> int:
        """See `Change`."""
        conv: Any = site.layer
        taps = int(conv._kernel_size[0]) * int(conv._kernel_size[1])
        other = conv._in_channels if site.name == self.producer else conv._out_channels
        return len(self.keep) * int(other) * taps

    def carry_out(
        self, sites: Mapping[str, Site], places: Places, start: Callable[..., None]
    ) -> dict[str, nn.Layer]:
        """See `Change`."""
        from spconvify.surgery.slices import slice_of_conv, slice_of_norm

        producer, consumer = sites[self.producer].layer, sites[self.consumer].layer
        found = places.layers()
        missing = [name for name in self.norms if name not in found]
        if missing:
            raise ArgumentError(f"the plan's BatchNorm {missing[0]!r} isn't a layer of this network")
        new: dict[str, nn.Layer] = {
            self.producer: slice_of_conv(producer, outputs=self.keep),
            self.consumer: slice_of_conv(consumer, inputs=self.keep),
        }
        places.put(producer, new[self.producer])
        places.put(consumer, new[self.consumer])
        for name in self.norms:
            places.put(found[name], slice_of_norm(found[name], self.keep))
        return new
