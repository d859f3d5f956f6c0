"""A small network around one layer, to time its forms where they will live.

A form's cost is as much in the layouts that it hands to its neighbours as in itself: alone, some forms
look fast that slow a network down.
"""

from __future__ import annotations

import paddle.nn.functional as F
from paddle import nn

from spconvify.network.replacement import Replacement

_ENDS = 4  # channels of the network's input and output: enough to be a convolution, too few to cost
_REPEATS = 3  # of a layer that can follow itself, so that it outweighs the ends


class Surroundings(nn.Layer):
    """1x1 convolution, the layer with ReLU (several times, and a shortcut, where shapes allow), 1x1.

    Input (N, 4, H, W), or channels last if the layer is.
    """

    def __init__(self, inner: nn.Layer, like: Replacement):
        super().__init__()
        options = {"kernel_size": 1, "data_format": like.data_format}
        self.entry = nn.Conv2D(_ENDS, like.in_channels, **options)
        self.inner = inner
        self.leave = nn.Conv2D(like.out_channels, _ENDS, **options)
        same_size = like.stride == 1 and not getattr(like, "crop", 0)
        repeats = like.in_channels == like.out_channels and same_size
        self._repeats = _REPEATS if repeats else 1
        self.eval()

    def forward(self, x):
        x = shortcut = F.relu(self.entry(x))
        for _ in range(self._repeats):
            x = F.relu(self.inner(x))
        if self._repeats > 1:
            x = x + shortcut
        return self.leave(F.relu(x))


def input_shape(like: Replacement, layer_input: tuple[int, ...]) -> tuple[int, ...]:
    """The shape for `Surroundings`, from that of the layer's input."""
    batch, *sizes = layer_input
    if like.data_format == "NCHW":
        return (batch, _ENDS, *sizes[1:])
    return (batch, *sizes[:-1], _ENDS)
