"""What the forms of a folded SPConv are made of: their base class, convolutions, picked channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.folding import Folded, set_value
from spconvify.spconv import pointwise_map


class FusedSPConv2D(nn.Layer):
    """A folded SPConv2D in one form; eval mode only. Input and output as the SPConv2D's."""

    name, fusion = "", ""
    picks = True  # whether it picks channels by one operator a part, so that selecting by a 1x1 may pay

    def __init__(self, folded: Folded, select: str = "copy"):
        super().__init__()
        layer = folded.layer
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.stride, self.crop, self.data_format = layer.stride, layer.crop, layer.data_format
        self.groups, self.representative = layer.groups, layer.representative
        self.select = select
        self._axis = 1 if self.data_format == "NCHW" else 3
        self.form = self.name if select == "copy" else f"{self.name}+select"
        self.eval()

    @classmethod
    def fits(cls, folded: Folded) -> bool:
        """Whether this form can express the layer."""
        return folded.layer.fusion == cls.fusion

    def pool(self, x):
        """What the 1x1 convolutions see."""
        return pointwise_map(x, self.stride, self.crop, self.data_format)

    def extra_repr(self) -> str:
        """Shown by ``print(network)``."""
        return (
            f"{self.in_channels} ({self.representative} + {self.in_channels - self.representative}), "
            f"{self.out_channels}, groups={self.groups}, stride={self.stride}, form={self.form}"
        )


class Channels(nn.Layer):
    """Some channels of a map: a slice if they lie side by side, a gather otherwise."""

    def __init__(self, channels: np.ndarray, data_format: str):
        super().__init__()
        self._axis = 1 if data_format == "NCHW" else 3
        self._range = (int(channels[0]), int(channels[-1]) + 1) if is_range(channels) else None
        self.register_buffer("index", None if self._range else paddle.to_tensor(channels, dtype="int64"))

    def forward(self, x):
        if self._range is None:
            return paddle.index_select(x, self.index, axis=self._axis)
        inner = slice(*self._range)
        return x[:, inner] if self._axis == 1 else x[:, :, :, inner]


def channels_of(folded: Folded, channels: np.ndarray, select: str) -> nn.Layer:
    """A layer that picks these input channels: by a copy, or ("select") by a 1x1 of ones and zeros,
    which costs arithmetic but stays in oneDNN's layout."""
    if select == "copy" or is_range(channels):
        return Channels(channels, folded.layer.data_format)
    weight = np.zeros((len(channels), folded.layer.in_channels))
    weight[np.arange(len(channels)), channels] = 1.0
    return pointwise(folded, weight)


def is_range(channels: np.ndarray) -> bool:
    """Whether the channels are consecutive numbers."""
    return bool(np.array_equal(channels, np.arange(channels[0], channels[0] + len(channels))))


def over_all(folded: Folded, pwc: np.ndarray, uncertain: np.ndarray) -> np.ndarray:
    """(L, C) both 1x1 convolutions as one, over the input channels in their own order."""
    weight = np.zeros((folded.layer.out_channels, folded.layer.in_channels))
    weight[:, folded.representative], weight[:, folded.rest] = pwc, uncertain
    return weight


def pointwise(
    folded: Folded, weight: np.ndarray, bias: np.ndarray | None = None, groups: int = 1
) -> nn.Conv2D:
    """A 1x1 convolution with weights (L, inputs / groups)."""
    return _convolution(folded, weight[:, :, None, None], bias, kernel_size=1, groups=groups)


def spatial(
    folded: Folded, weight: np.ndarray, bias: np.ndarray, groups: int | None = None
) -> nn.Conv2D:
    """A 3x3 convolution with the layer's stride, padding and dilation."""
    layer: Any = folded.layer
    groups = layer.groups if groups is None else groups
    return _convolution(
        folded,
        weight,
        bias,
        kernel_size=3,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        padding_mode=layer.gwc._padding_mode,
        groups=groups,
    )


def _convolution(
    folded: Folded, weight: np.ndarray, bias: np.ndarray | None, **options: Any
) -> nn.Conv2D:
    groups = options.get("groups", 1)
    conv = nn.Conv2D(
        weight.shape[1] * groups,
        weight.shape[0],
        bias_attr=None if bias is not None else False,
        data_format=folded.layer.data_format,
        **options,
    )
    old = folded.layer.gwc.weight
    conv.to(device=old.place, dtype=old.dtype)
    set_value(conv.weight, weight)
    if bias is not None:
        set_value(conv.bias, bias)
    return conv
