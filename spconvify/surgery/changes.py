"""What a plan is made of: changes, each plain data that knows its sites, its cost and how it is done.

To add a kind: a `Change` with a `kind` of its own, and a line in `KINDS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from spconvify.errors import ArgumentError
from spconvify.operators import registry
from spconvify.operators.recognised import Shapes

if TYPE_CHECKING:
    from spconvify.network.replacement import Replacement
    from spconvify.surgery.places import Places
    from spconvify.surgery.sites import Site


class Change(ABC):
    """One change of a network: plain, printable, and as JSON has it.

    Attributes:
        kind: what plan files call it.
    """

    kind: ClassVar[str]

    @property
    @abstractmethod
    def sites(self) -> tuple[str, ...]:
        """The names of the convolutions that it touches."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, without its kind."""

    @classmethod
    @abstractmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Change:
        """From what `to_dict` gave.

        Raises:
            KeyError, TypeError: if something is missing or too much.
            ArgumentError: if a value is out of range.
        """

    @classmethod
    @abstractmethod
    def of_checkpoint(cls, shapes: Shapes) -> list[Change]:
        """The changes of this kind that a converted checkpoint was made with."""

    @abstractmethod
    def why_not(self, site: Site) -> str:
        """Why one of its sites can't be changed so; "" if it can."""

    @abstractmethod
    def macs_per_position(self, site: Site) -> int:
        """Multiply-accumulates at one position of that site's output, afterwards."""

    @abstractmethod
    def carry_out(
        self, sites: Mapping[str, Site], places: Places, start: Callable[..., None]
    ) -> dict[str, Replacement]:
        """Change the network whose `places` these are, so that `places.undo` takes it back.

        Args:
            sites: of that network, by name.
            places: where its layers are held.
            start: gives a new layer its first weights; called with (operator, layer, convolution).

        Returns:
            The new layers by the name of their site.
        """


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
    def sites(self) -> tuple[str, ...]:
        """The one."""
        return (self.site,)

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
    ) -> dict[str, Replacement]:
        """See `Change`."""
        from spconvify.surgery.replacing import replacement

        conv = sites[self.site].layer
        new = replacement(conv, self.settings, self.site, start)
        places.put(conv, new)
        return {self.site: new}


KINDS: dict[str, type[Change]] = {kind.kind: kind for kind in (Replace,)}


def change_from(values: Any) -> Change:
    """A change from its JSON.

    Raises:
        ArgumentError: if its kind is unknown, or a value is out of range.
        AttributeError, KeyError, TypeError: if it isn't the JSON of a change at all.
    """
    rest = dict(values)
    kind = rest.pop("change")
    if kind not in KINDS:
        raise ArgumentError(f"change {kind!r} is unknown; there are: {', '.join(KINDS)}")
    return KINDS[kind].from_dict(rest)
