"""What the forms of a folded SPConv are made of: their base class, convolutions, picked channels."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.network.integer_buffer import KeepsIntegers
from spconvify.network.norms import set_value
from spconvify.network.placement import default_dtype, move_beside
from spconvify.network.replacement import FusedReplacement
from spconvify.operators.spconv.folded import Folded
from spconvify.operators.spconv.layer import pointwise_map

_PADDLE_2 = paddle.__version__.startswith("2.")

# How a form picks channels and runs the group convolution.
VARIANTS = {
    "": "a split or a gather, one group convolution",
    "select": "by a 1x1 of ones and zeros: more arithmetic, but it stays in oneDNN's layout",
    "split": "the groups as convolutions of their own: channels-last where a group convolution isn't",
}


class FusedSPConv2D(FusedReplacement):
    """A folded SPConv2D in one form; eval mode only. Input and output as the SPConv2D's."""

    called = "an SPConv2D"
    name, fusion = "", ""
    variants: tuple[str, ...] = tuple(VARIANTS)

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__()
        layer = folded.layer
        self.in_channels, self.out_channels = layer.in_channels, layer.out_channels
        self.stride, self.crop, self.data_format = layer.stride, layer.crop, layer.data_format
        self.groups, self.representative = layer.groups, layer.representative
        self.variant = variant
        self.form = f"{self.name}+{variant}" if variant else self.name
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


class Affine(nn.Layer):
    """GWC X₃ + W P(X) + bias, with W (L, C) over all channels in their own order.

    The 1x1 comes last and takes in the group convolution's result as its residual. Whose the bias is
    decides whether that happens: Paddle 3 fuses the addition into a convolution that has no bias,
    Paddle 2 into one of two that both have.
    """

    def __init__(self, folded: Folded, weight: np.ndarray, bias: np.ndarray, variant: str):
        super().__init__()
        share = 0.5 if _PADDLE_2 else 0.0
        self.spread = Spread(folded, (1.0 - share) * bias, variant, folded.representative)
        self.pointwise = pointwise(folded, weight, share * bias if share else None)

    def forward(self, x, pooled):
        spread = self.spread(x)
        return self.pointwise(pooled) + spread


class Spread(nn.Layer):
    """GWC X₃ + bias; `channels` tells where X₃ is in the map that it is given, X₃ itself by default."""

    def __init__(
        self, folded: Folded, bias: np.ndarray, variant: str, channels: np.ndarray | None = None
    ):
        super().__init__()
        self._axis = 1 if folded.layer.data_format == "NCHW" else 3
        parts = folded.layer.groups if variant == "split" else 1
        if channels is None:
            channels, inputs = np.arange(folded.layer.representative), folded.layer.representative
        else:
            inputs = folded.layer.in_channels
        self.take = Channels(folded, np.split(channels, parts), inputs, variant)
        self.gwc = nn.LayerList(
            spatial(folded, kernel, shift, folded.layer.groups // parts)
            for kernel, shift in zip(np.split(folded.gwc, parts), np.split(bias, parts))
        )

    def forward(self, x):
        parts = [gwc(part) for gwc, part in zip(self.gwc, self.take(x))]
        return parts[0] if len(parts) == 1 else paddle.concat(parts, axis=self._axis)


class OneSplit(nn.Layer):
    """The paper's three convolutions on one split: Y₃ with `bias`, and `conv1x1` of P(X₁)."""

    def __init__(self, folded: Folded, bias: np.ndarray, conv1x1: nn.Conv2D):
        super().__init__()
        layer = folded.layer
        self._pooling = layer.stride, layer.crop, layer.data_format
        self.parts = Channels(folded, [folded.representative, folded.rest], layer.in_channels, "")
        self.spread = Spread(folded, bias, "")
        self.pwc, self.conv1x1 = pointwise(folded, folded.pwc), conv1x1

    def forward(self, x):
        representative, rest = self.parts(x)
        pooled = pointwise_map(representative, *self._pooling)
        y3 = self.spread(representative) + self.pwc(pooled)
        return y3, self.conv1x1(pointwise_map(rest, *self._pooling))


class Channels(nn.Layer):
    """Lists of channels of a map, each as a map of its own; the lists have no channel in common.

    If each list's channels lie side by side, one split gives them all; otherwise each is gathered, or
    picked by a 1x1 convolution in the variant "select". oneDNN's split keeps a channels-last layout; its
    slice writes (N, C, H, W), which the convolution behind it reorders back.
    """

    def __init__(self, folded: Folded, lists: list[np.ndarray], inputs: int, variant: str):
        super().__init__()
        self._axis = 1 if folded.layer.data_format == "NCHW" else 3
        self._sections: list[int] = []
        self._which: list[int] = []
        self.pick = nn.LayerList()
        if all(map(is_range, lists)):
            starts = [int(channels[0]) for channels in lists]
            ends = [start + len(channels) for start, channels in zip(starts, lists)]
            edges = sorted({0, *starts, *ends, inputs})
            self._sections = np.diff(edges).tolist()
            self._which = [edges.index(start) for start in starts]
        else:
            by_convolution = variant == "select"
            for channels in lists:
                pick = (
                    _selection(folded, channels, inputs)
                    if by_convolution
                    else _Gather(channels, self._axis)
                )
                self.pick.append(pick)

    def forward(self, x):
        if not self._sections:
            return [pick(x) for pick in self.pick]
        if len(self._sections) == 1:
            return [x]
        parts = paddle.split(x, self._sections, axis=self._axis)
        return [parts[index] for index in self._which]


class _Gather(KeepsIntegers):
    def __init__(self, channels: np.ndarray, axis: int):
        super().__init__()
        self._axis = axis
        self.register_integers("index", channels)

    def forward(self, x):
        return paddle.index_select(x, self.index, axis=self._axis)


def _selection(folded: Folded, channels: np.ndarray, inputs: int) -> nn.Layer:
    weight = np.zeros((len(channels), inputs))
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


def spatial(folded: Folded, weight: np.ndarray, bias: np.ndarray, groups: int) -> nn.Conv2D:
    """A 3x3 convolution with the layer's stride, padding and dilation."""
    layer: Any = folded.layer
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
    old = folded.layer.gwc.weight
    with default_dtype(old.dtype):
        conv = nn.Conv2D(
            weight.shape[1] * groups,
            weight.shape[0],
            bias_attr=None if bias is not None else False,
            data_format=folded.layer.data_format,
            **options,
        )
    move_beside(conv, old)
    set_value(conv.weight, weight)
    if bias is not None:
        set_value(conv.bias, bias)
    return conv
