"""Operator: one kind of layer that may stand in a convolution's place, and all that is known of it.

Everything else in the package asks an operator that the registry gives it, and knows none by name.
Nothing here needs Paddle until a method that takes a layer is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar

from spconvify.errors import ArgumentError
from spconvify.operators.recognised import Recognised, Shapes

if TYPE_CHECKING:
    from spconvify.calibration.task import LayerFit, Task
    from spconvify.network.replacement import Replacement
    from spconvify.operators.forms import Forms


class Operator(ABC):
    """What may stand in a convolution's place.

    Attributes:
        name: what plans call it.
        settings: the class of its settings, a frozen dataclass of what JSON holds, with a method
            ``check()`` that raises ArgumentError for what fits no convolution at all.
    """

    name: ClassVar[str]
    settings: ClassVar[type[Any]]

    def settings_from(self, values: Mapping[str, Any]) -> Any:
        """Settings from what `settings_to` gave.

        Raises:
            TypeError: if there are others than the operator has.
            ArgumentError: if one is out of range.
        """
        settings = self.settings(**values)
        settings.check()
        return settings

    def settings_to(self, settings: Any) -> dict[str, Any]:
        """Settings as JSON has them."""
        return asdict(settings)

    def describe(self, settings: Any) -> str:
        """Settings as people read them, in one line."""
        return ", ".join(f"{key} {value}" for key, value in self.settings_to(settings).items())

    @property
    @abstractmethod
    def layer(self) -> type[Replacement]:
        """The class of its layers."""

    @abstractmethod
    def recognise(self, shapes: Shapes) -> Mapping[str, Recognised]:
        """Every such layer in a state dict, by the name of its site ("" is the root itself).

        Raises:
            CheckpointError: if the keys of a site are incomplete, or their shapes don't fit each other.
        """

    @abstractmethod
    def why_not(self, conv: Any, settings: Any = None) -> str:
        """Why it can't take the place of the Conv2D `conv`, with these settings or (None) any; "" if it
        can. Only geometry counts: who else holds the layer is for `find_sites` to see."""

    @abstractmethod
    def build(self, conv: Any, settings: Any) -> Replacement:
        """A layer with Paddle's random weights that takes and gives maps of the same sizes as `conv`."""

    @abstractmethod
    def settings_of(self, layer: Any) -> Any:
        """The settings that `layer` was built with, as far as they can be read off it."""

    @abstractmethod
    def copy(self, layer: Any, conv: Any) -> None:
        """Start the weights of `layer` from those of the convolution whose place it takes."""

    def bias_keys(self) -> frozenset[str]:
        """Parameters of its layers that stand for the convolution's bias, by name."""
        return frozenset()

    def with_room(self, settings: Any) -> Any:
        """The settings with what a fit to images makes use of, where that is optional."""
        return settings

    def fit(self, task: Task) -> LayerFit:
        """Fit a layer to what the original convolution does on images; writes its weights.

        Raises:
            Unfitted: if the layer has to keep the weights that it has; by default always.
        """
        from spconvify.calibration.task import Unfitted

        raise Unfitted(f"{self.name} layers can't be fitted")

    def macs_per_position(self, conv: Any, settings: Any) -> int:
        """Multiply-accumulates of its convolutions at one position of the output."""
        raise ArgumentError(f"the cost of {self.name} isn't known before it is built")

    def effective_ratio(self, in_channels: int, settings: Any) -> float | None:
        """The share of the input channels that keep a 3x3, where that says something."""
        return None

    @property
    def forms(self) -> Forms | None:
        """How its layers are folded and laid out for deployment; None deploys them as they are."""
        return None
