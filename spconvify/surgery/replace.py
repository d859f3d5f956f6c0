"""Replace: an operator's layer takes a convolution's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from spconvify.operators import registry
from spconvify.operators.recognised import Shapes
from spconvify.surgery.change import Change

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.surgery.places import Places
    from spconvify.surgery.sites import Site


@dataclass(frozen=True)
class Replace(Change):
    """Put an operator's layer in a convolution's place; `settings` say whose, and how it is made."""

    site: str
    settings: Any
    kind: ClassVar[str] = "replace"

    def __str__(self) -> str:
        operator = registry.of_settings(self.settings)
        name = "" if operator.name == registry.DEFAULT else f"{operator.name}, "
        return f"{self.site or '(root)'}: {name}{operator.describe(self.settings)}"

    @property
    def roles(self) -> tuple[tuple[str, str], ...]:
        """The one site, whose layer is another one."""
        return (("layer", self.site),)

    def to_dict(self) -> dict[str, Any]:
        """Site, operator, and the operator's settings beside them."""
        operator = registry.of_settings(self.settings)
        return {"site": self.site, "operator": operator.name, **operator.settings_to(self.settings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Replace:
        """See `Change`."""
        settings = dict(values)
        site, operator = settings.pop("site"), settings.pop("operator", registry.DEFAULT)
        if not isinstance(site, str):
            raise TypeError(f"site {site!r} isn't a name")
        return cls(site, registry.find(operator).settings_from(settings))

    @classmethod
    def of_checkpoint(cls, shapes: Shapes) -> list[Change]:
        """See `Change`; the ratios are the effective ones, since others aren't kept."""
        return [cls(site, found.settings) for site, found in registry.recognised(shapes).items()]

    def why_not(self, site: Site) -> str:
        """See `Change`."""
        from spconvify.network.replacement import Replacement

        if isinstance(site.layer, Replacement):
            return site.obstacle
        operator = registry.of_settings(self.settings)
        return operator.why_not(site.layer, self.settings) or site.obstacle

    def macs_per_position(self, site: Site) -> int:
        """See `Change`."""
        return registry.of_settings(self.settings).macs_per_position(site.layer, self.settings)

    def carry_out(
        self, sites: Mapping[str, Site], places: Places, start: Callable[..., None]
    ) -> dict[str, nn.Layer]:
        """See `Change`."""
        from spconvify.surgery.replacing import replacement

        conv = sites[self.site].layer
        new = replacement(conv, self.settings, self.site, start)
        places.put(conv, new)
        return {self.site: new}
