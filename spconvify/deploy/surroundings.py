"""A small network around one layer, to time its forms where they will live.

A form's cost is as much in the layouts that it hands to its neighbours as in itself: alone, some forms
look fast that slow a network down.
"""

from __future__ import annotations

from dataclasses import dataclass

import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.network.replacement import Replacement

_ENDS = 4  # channels of the network's input and output: enough to be a convolution, too few to cost
_REPEATS = 3  # of a layer that can follow itself, so that it outweighs the ends


@dataclass(frozen=True)
class Ends:
    """What surroundings need to know of the layer between them."""

    in_channels: int
    out_channels: int
    data_format: str
    keeps_size: bool  # whether its output has the height and width of its input

    @classmethod
    def of(cls, layer: Replacement) -> Ends:
        """Those of a replacement."""
        same_size = layer.stride == 1 and not getattr(layer, "crop", 0)
        return cls(layer.in_channels, layer.out_channels, layer.data_format, same_size)

    @property
    def repeats(self) -> int:
        """How often the layer is run."""
        return _REPEATS if self.keeps_size and self.in_channels == self.out_channels else 1

    def input_shape(self, layer_input: tuple[int, ...]) -> tuple[int, ...]:
        """The shape for `Surroundings`, from that of the layer's input."""
        batch, *sizes = layer_input
        if self.data_format == "NCHW":
            return (batch, _ENDS, *sizes[1:])
        return (batch, *sizes[:-1], _ENDS)


class Surroundings(nn.Layer):
    """1x1 convolution, the layer with ReLU (several times, and a shortcut, where shapes allow), 1x1.

    Input (N, 4, H, W), or channels last if the layer is. Without a layer it is what is around one; the
    layer then has to have as many outputs as inputs.
    """

    def __init__(self, inner: nn.Layer | None, ends: Ends):
        super().__init__()
        options = {"kernel_size": 1, "data_format": ends.data_format}
        self.entry = nn.Conv2D(_ENDS, ends.in_channels, **options)
        self.inner = inner
        self.leave = nn.Conv2D(ends.out_channels, _ENDS, **options)
        self._repeats = ends.repeats
        self.eval()

    # Nothing in it depends on values: Paddle needn't rewrite it, nor the layer, which takes a second.
    @paddle.jit.not_to_static
    def forward(self, x):
        x = shortcut = F.relu(self.entry(x))
        if self.inner is not None:
            for _ in range(self._repeats):
                x = F.relu(self.inner(x))
        if self._repeats > 1:
            x = x + shortcut
        return self.leave(F.relu(x))
