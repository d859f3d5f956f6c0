"""What one change of a network is: plain data that knows its sites and how it is carried out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable, ClassVar

from spconvify.operators.recognised import Shapes

if TYPE_CHECKING:
    from paddle import nn

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
    def roles(self) -> tuple[tuple[str, str], ...]:
        """(what happens to it, site) of every convolution that it touches; each once in a plan."""

    @property
    def sites(self) -> tuple[str, ...]:
        """The names of the convolutions that it touches."""
        return tuple(site for _, site in self.roles)

    @property
    def swapped(self) -> tuple[str, ...]:
        """Those whose place another layer takes."""
        return self.sites

    @property
    def fitted(self) -> tuple[str, ...]:
        """Those whose weights a fit to calibration images determines."""
        return self.sites

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
        """Multiply-accumulates at one position of that site's output, if nothing else is changed."""

    @abstractmethod
    def carry_out(
        self, sites: Mapping[str, Site], places: Places, start: Callable[..., None]
    ) -> dict[str, nn.Layer]:
        """Change the network whose `places` these are, so that `places.undo` takes it back.

        Args:
            sites: of that network as the changes before have left it, by name.
            places: where its layers are held.
            start: gives a new layer its first weights; called with (operator, layer, convolution).

        Returns:
            What stands at its sites now, by name; a layer that it leaves as it is too.
        """
