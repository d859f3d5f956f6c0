"""Other slim convolutions, as drop-ins for a dense 3x3: Ghost, HetConv and OctConv.

All are linear, so that they can be fitted to the layer they replace, as SPConv with fusion "sum" is.
Each takes a permutation of the channels, which a fit may choose. Padding 1, no dilation.
"""

from __future__ import annotations

import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.network.replacement import Replacement


class GhostConv(Replacement):
    """Some outputs from a dense 3x3, the others from those by depthwise 3x3 (Han et al., CVPR 2020).

    Input (N, C, H, W), output (N, L, H / stride, W / stride). The original puts BatchNorm and ReLU
    behind each part; here what is behind the replaced convolution follows.

    Args:
        in_channels: C.
        out_channels: L, a multiple of `share`.
        stride: of the dense part.
        share: only one in `share` outputs is computed densely.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, share: int = 2):
        super().__init__()
        _describe(self, in_channels, out_channels, stride)
        dense = out_channels // share
        self.primary = nn.Conv2D(in_channels, dense, 3, stride=stride, padding=1)
        self.cheap = nn.Conv2D(dense, out_channels - dense, 3, padding=1, groups=dense)
        self.register_buffer("order", paddle.arange(out_channels))

    def forward(self, x):
        y = self.primary(x)
        return paddle.index_select(paddle.concat([y, self.cheap(y)], axis=1), self.order, axis=1)


class HetConv(Replacement):
    """Every filter has 3x3 kernels on one in `parts` input channels, 1x1 on the others.

    As a sum of a 3x3 convolution in `parts` groups and a 1x1 convolution (Singh et al., CVPR 2019).
    With stride 2 the 1x1 sees the average over 2x2. Input (N, C, H, W).
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, parts: int = 4):
        super().__init__()
        _describe(self, in_channels, out_channels, stride)
        self.grouped = nn.Conv2D(
            in_channels, out_channels, 3, stride=stride, padding=1, groups=parts, bias_attr=False
        )
        self.pointwise = nn.Conv2D(in_channels, out_channels, 1)
        self.register_buffer("order", paddle.arange(in_channels))

    def forward(self, x):
        x = paddle.index_select(x, self.order, axis=1)
        pooled = x if self.stride == 1 else F.avg_pool2d(x, 2, 2, ceil_mode=True)
        return self.grouped(x) + self.pointwise(pooled)


class OctConv(Replacement):
    """A share of the channels, in and out, at half the resolution (Chen et al., ICCV 2019).

    Both kinds exchange: the high-resolution input is averaged on its way to the low-resolution output,
    what comes back is repeated 2x2. Stride 1. Input (N, C, H, W); odd sizes are averaged with a
    narrower last window.

    Args:
        in_channels: C.
        out_channels: L.
        low: share of the channels that are kept at half the resolution.
    """

    def __init__(self, in_channels: int, out_channels: int, low: float = 0.5):
        super().__init__()
        _describe(self, in_channels, out_channels, 1)
        low_in, low_out = int(low * in_channels), int(low * out_channels)
        self.high_in, self.high_out = in_channels - low_in, out_channels - low_out
        self.high_to_high = nn.Conv2D(self.high_in, self.high_out, 3, padding=1)
        self.low_to_high = nn.Conv2D(low_in, self.high_out, 3, padding=1, bias_attr=False)
        self.to_low = nn.Conv2D(in_channels, low_out, 3, padding=1)
        self.register_buffer("order_in", paddle.arange(in_channels))
        self.register_buffer("order_out", paddle.arange(out_channels))

    def forward(self, x):
        height, width = x.shape[2:]
        x = paddle.index_select(x, self.order_in, axis=1)
        pooled = F.avg_pool2d(x, 2, 2, ceil_mode=True)
        high = self.high_to_high(x[:, : self.high_in])
        high = high + _repeated(self.low_to_high(pooled[:, self.high_in :]), height, width)
        low = _repeated(self.to_low(pooled), height, width)
        return paddle.index_select(paddle.concat([high, low], axis=1), self.order_out, axis=1)


def _describe(layer: Replacement, in_channels: int, out_channels: int, stride: int) -> None:
    """What every replacement tells of itself."""
    layer.in_channels, layer.out_channels = in_channels, out_channels
    layer.stride, layer.data_format = stride, "NCHW"


def _repeated(x, height: int, width: int):
    """Every pixel 2x2 times. (Paddle 3.3.1's Inference can't run `interpolate` on oneDNN.)"""
    rows = paddle.flatten(paddle.stack([x, x], axis=3), 2, 3)
    return paddle.flatten(paddle.stack([rows, rows], axis=4), 3, 4)[:, :, :height, :width]
