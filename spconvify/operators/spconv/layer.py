"""SPConv2D: the operator of "Split to Be Slim" (IJCAI 2020), in the place of a 3x3 convolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.replacement import Replacement
from spconvify.operators.spconv.settings import (
    DEFAULT_FUSION,
    DEFAULT_GROUPS,
    DEFAULT_RATIO,
    FUSIONS,
    representative_channels,
)


class SPConv2D(Replacement):
    """A slim 3x3 convolution: only the representative input channels get a 3x3 kernel.

    Input (N, C, H, W), output (N, L, ceil(H / stride), ceil(W / stride)) with the default padding;
    with ``data_format="NHWC"`` the channels are last. The representative channels go through a
    group-wise 3x3 (`gwc`) and a point-wise 1x1 (`pwc`) convolution, the uncertain rest through a
    1x1 (`conv1x1`). ``fusion="sum"`` adds both parts as they are, which makes the layer linear;
    ``fusion="gap"``, the paper's own, normalises them (`bn1`, `bn2`) and adds them with a softmax gate
    over their global averages. With stride 2 the 1x1 convolutions see the average over 2x2.

    MACs per output pixel, with `r` representative channels: ``r·9L/groups + r·L + (C - r)·L``.

    Args:
        in_channels: C, at least 2.
        out_channels: L, a multiple of `groups`.
        stride: 1 or 2.
        ratio: share of the input channels that are representative; rounded so that their number is
            a multiple of `groups`.
        groups: groups of the 3x3 convolution.
        dilation: of the 3x3 convolution; the 1x1 convolutions are unaffected.
        fusion: "sum" or "gap" (paper, section 3.3).
        padding: None keeps the map's size (`dilation` on every side), 0 uses no padding (then the
            1x1 convolutions see the map cropped by `dilation`), "SAME" is TensorFlow's padding, with
            which Paddle ignores the dilation.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        bias_attr: False for none; None or a ParamAttr puts a bias on `conv1x1`.
        channels: a permutation of the C input channels, representative ones first and in the order
            of the groups; None takes them as they come.
        data_format: "NCHW" or "NHWC".

    Raises:
        ArgumentError: if the channels can't be split in this way, or another argument can't be.

    Source: Zhang et al., "Split to Be Slim: An Overlooked Redundancy in Vanilla Convolution",
    IJCAI 2020, section 3 (equations 2 to 7).
    """

    called = "an SPConv2D"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        *,
        ratio: float = DEFAULT_RATIO,
        groups: int = DEFAULT_GROUPS,
        dilation: int = 1,
        fusion: str = DEFAULT_FUSION,
        padding: int | str | None = None,
        padding_mode: str = "zeros",
        bias_attr: Any = False,
        channels: Sequence[int] | None = None,
        data_format: str = "NCHW",
    ):
        super().__init__()
        if fusion not in FUSIONS:
            raise ArgumentError(f"fusion {fusion!r} is unknown; use one of: {', '.join(FUSIONS)}")
        if stride not in (1, 2):
            raise ArgumentError(f"stride {stride} isn't 1 or 2")
        if data_format not in ("NCHW", "NHWC"):
            raise ArgumentError(f"data_format {data_format!r} isn't 'NCHW' or 'NHWC'")
        self.representative = representative_channels(in_channels, ratio, groups)
        if out_channels % groups:
            raise ArgumentError(f"{out_channels} output channels can't be split into {groups} groups")
        self.in_channels, self.out_channels = in_channels, out_channels
        if padding == "SAME":
            dilation = 1  # as Paddle's convolutions do: they ignore it there
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.fusion, self.data_format = fusion, data_format
        self._channel_axis, self._spatial_axis = (1, 2) if data_format == "NCHW" else (3, 1)
        self.padding = dilation if padding is None else padding
        self.crop = self._crop_width()

        self.gwc = nn.Conv2D(
            self.representative,
            out_channels,
            3,
            stride=stride,
            padding=self.padding,
            dilation=dilation,
            groups=groups,
            padding_mode=padding_mode,
            bias_attr=False,
            data_format=data_format,
        )
        pointwise = {"kernel_size": 1, "data_format": data_format}
        uncertain = in_channels - self.representative
        self.pwc = nn.Conv2D(self.representative, out_channels, bias_attr=False, **pointwise)
        self.conv1x1 = nn.Conv2D(uncertain, out_channels, bias_attr=bias_attr, **pointwise)
        if fusion == "gap":
            self.bn1 = nn.BatchNorm2D(out_channels, data_format=data_format)
            self.bn2 = nn.BatchNorm2D(out_channels, data_format=data_format)
        self.register_integers("channels", None if channels is None else self._permutation(channels))

    def _crop_width(self) -> int:
        """Rows and columns that the 3x3 doesn't centre on, on each side."""
        if self.padding in ("SAME", self.dilation):
            return 0
        if self.padding == 0:
            return self.dilation
        raise ArgumentError(
            f"padding {self.padding!r} gives the 3x3 and the 1x1 convolutions maps of different sizes; "
            f"use {self.dilation} (the dilation), 0 or 'SAME'"
        )

    def _permutation(self, channels: Sequence[int]) -> list[int]:
        order = [int(channel) for channel in channels]
        if sorted(order) != list(range(self.in_channels)):
            raise ArgumentError(f"channels isn't a permutation of the {self.in_channels} input channels")
        return order

    def forward(self, x):
        if self.channels is not None:
            x = paddle.index_select(x, self.channels, axis=self._channel_axis)
        parts = [self.representative, self.in_channels - self.representative]
        representative, uncertain = paddle.split(x, parts, axis=self._channel_axis)
        y3 = self.gwc(representative) + self.pwc(self._pool(representative))
        y1 = self.conv1x1(self._pool(uncertain))
        if self.fusion == "sum":
            return y3 + y1
        return self._gated(self.bn1(y3), self.bn2(y1))

    def _gated(self, y3, y1):
        """β₃ Y₃ + β₁ Y₁ of two maps of the same shape.

        On maps with their rows in one line: Paddle Inference has no fast product of (N, L, H, W) with
        (N, L, 1, 1), and from batch 2 on it gives up on one.
        """
        spatial = self._spatial_axis
        height, width = y3.shape[spatial : spatial + 2]
        y3, y1 = (paddle.flatten(y, spatial, spatial + 1) for y in (y3, y1))
        difference = paddle.mean(y3, spatial, keepdim=True) - paddle.mean(y1, spatial, keepdim=True)
        gate = F.sigmoid(difference)  # the softmax over two logits (paper, equation 6)
        y = gate * y3 + (1.0 - gate) * y1
        return paddle.reshape(y, [0, 0, height, width] if spatial == 2 else [0, height, width, -1])

    def _pool(self, x):
        return pointwise_map(x, self.stride, self.crop, self.data_format)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels} ({self.representative} + {self.in_channels - self.representative}), "
            f"{self.out_channels}, groups={self.groups}, stride={self.stride}, fusion={self.fusion}"
        )
        if self.dilation != 1:
            text += f", dilation={self.dilation}"
        if self.padding != self.dilation:
            text += f", padding={self.padding}"
        return text if self.data_format == "NCHW" else f"{text}, data_format={self.data_format}"


def pointwise_map(x, stride: int, crop: int, data_format: str):
    """What the 1x1 convolutions see of (N, C, H, W): cropped by `crop`, averaged over the stride."""
    if crop:
        inner = slice(crop, -crop)
        x = x[:, :, inner, inner] if data_format == "NCHW" else x[:, inner, inner, :]
    if stride == 1:
        return x
    # ceil_mode: an odd map gives the same size as the padded 3x3 with stride 2.
    return F.avg_pool2d(x, stride, stride, ceil_mode=True, data_format=data_format)
