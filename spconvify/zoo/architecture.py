"""Architecture: a network of the catalogue with its number of classes and of input channels."""

from __future__ import annotations

import contextlib
import copy
import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spconvify.errors import ArgumentError
from spconvify.zoo.catalogue import entry

if TYPE_CHECKING:
    from paddle import nn


@dataclass(frozen=True)
class Architecture:
    """A network that can be built, by the name it has in the catalogue.

    Attributes:
        name: one of ``spconvify.zoo.names()``.
        num_classes: width of its head; 0 stands for the trunk without a head.
        in_channels: channels of its input.
        ambiguous_with: other names that have the same parameters, so that a checkpoint doesn't
            tell them apart; a note for the user.
        width: channels of the first stage, of a network that has any; None is the usual number.
        narrowed: whether the checkpoint has fewer channels between convolutions than what is built.
    """

    name: str
    num_classes: int
    in_channels: int
    ambiguous_with: tuple[str, ...] = ()
    width: int | None = None
    narrowed: bool = False

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(1, C, H, W) as the network was designed for: 224, Inception-v3 299, CIFAR 32, LeNet 28."""
        size = entry(self.name).size
        return (1, self.in_channels, size, size)

    def build(self, lazy: bool = False) -> nn.Layer:
        """Build the network, in training mode, with Paddle's random weights.

        Args:
            lazy: leave parameters and BatchNorm statistics without memory, which is several times
                faster; the caller gives each a value with ``Tensor.set_value`` before anything reads
                it. (``Layer.set_state_dict`` doesn't do it on Paddle 2.6.)
        """
        import paddle

        found = entry(self.name)
        constructor = getattr(importlib.import_module(found.module), found.constructor)
        with paddle.utils.unique_name.guard(), paddle.LazyGuard() if lazy else contextlib.nullcontext():
            width = {} if self.width is None else {"width": self.width}
            network = constructor(num_classes=self.num_classes, **found.options, **width)
            set_in_channels(network, found.in_channels, self.in_channels)
        return network


def find(name: str, num_classes: int | None = None, in_channels: int | None = None) -> Architecture:
    """The architecture called `name`; None takes what its constructor takes.

    Raises:
        ArgumentError: if the name is unknown (it gives the nearest ones), or it can't have so few
            classes or input channels.
    """
    found = entry(name)
    num_classes = found.num_classes if num_classes is None else num_classes
    in_channels = found.in_channels if in_channels is None else in_channels
    fewest = 0 if found.headless else 1
    if num_classes < fewest:
        raise ArgumentError(f"{name} can't have {num_classes} classes; {fewest} is the least")
    if in_channels < 1:
        raise ArgumentError(f"{name} can't have {in_channels} input channels; 1 is the least")
    return Architecture(name, num_classes, in_channels)


def set_in_channels(network: nn.Layer, usual: int, wanted: int) -> None:
    """Give the stem `wanted` input channels instead of the `usual`: hardly a constructor takes them.

    The stem is the first convolution with the usual ones, and has one group. Only its weight depends on
    the input channels, so the layer keeps all its settings.
    """
    from paddle import nn

    if wanted == usual:
        return
    stem: Any = next(
        layer
        for layer in network.sublayers()
        if isinstance(layer, nn.Conv2D) and layer._in_channels == usual
    )
    out_channels, _, *kernel = stem.weight.shape
    stem._in_channels = wanted
    attr = copy.copy(stem._param_attr)
    if getattr(attr, "name", None):  # Paddle refuses a second parameter of the same name
        attr.name = None
    stem.weight = stem.create_parameter(
        [out_channels, wanted, *kernel],
        attr=attr,
        default_initializer=nn.initializer.KaimingNormal(),
    )
