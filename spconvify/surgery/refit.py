"""Refit: a dense convolution stays, and is fitted to what the changed layers before it feed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from spconvify.operators.recognised import Shapes
from spconvify.surgery.change import Change

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.surgery.places import Places
    from spconvify.surgery.sites import Site


@dataclass(frozen=True)
class Refit(Change):
    """Fit a dense convolution anew; without calibration images it does nothing."""

    site: str
    kind: ClassVar[str] = "refit"

    def __str__(self) -> str:
        return f"{self.site or '(root)'}: dense, fitted anew"

    @property
    def roles(self) -> tuple[tuple[str, str], ...]:
        """As of what replaces it, so that no plan has both."""
        return (("layer", self.site),)

    @property
    def swapped(self) -> tuple[str, ...]:
        """None: it stays."""
        return ()

    def to_dict(self) -> dict[str, Any]:
        """The site."""
        return {"site": self.site}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Refit:
        """See `Change`."""
        if set(values) != {"site"} or not isinstance(values["site"], str):
            raise TypeError("a refit is the name of a site")
        return cls(values["site"])

    @classmethod
    def of_checkpoint(cls, shapes: Shapes) -> list[Change]:
        """None: other weights can't be told from any."""
        return []

    def why_not(self, site: Site) -> str:
        """See `Change`."""
        conv: Any = site.layer
        if site.obstacle:
            return site.obstacle
        return f"it has {conv._groups} groups; a fit needs one" if conv._groups != 1 else ""

    def macs_per_position(self, site: Site) -> int:
        """See `Change`: those that it has."""
        return int(site.layer.weight.size)

    def carry_out(
        self, sites: Mapping[str, Site], places: Places, start: Callable[..., None]
    ) -> dict[str, nn.Layer]:
        """See `Change`: the layer itself."""
        return {self.site: sites[self.site].layer}
