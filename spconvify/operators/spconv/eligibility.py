"""Which convolutions an SPConv can take the place of, and why not the others."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.operators.spconv.settings import SPConvSettings, representative_channels

# Below this many input channels a convolution is the network's stem: there is nothing to split.
MIN_IN_CHANNELS = 4


def geometry_reason(conv: Any) -> str:
    """Why no SPConv can take the place of the Conv2D `conv`; "" if one can."""
    return _shape_reason(conv) or _padding_reason(conv)


def split_reason(conv: Any, settings: SPConvSettings) -> str:
    """Why its channels can't be split as the settings say; "" if they can."""
    if conv._out_channels % settings.groups:
        return f"{conv._out_channels} output channels can't be split into {settings.groups} groups"
    try:
        representative_channels(conv._in_channels, settings.ratio, settings.groups)
    except ArgumentError as error:
        return str(error)
    return ""


def _shape_reason(conv: nn.Layer) -> str:
    kernel, stride, dilation = (list(conv._kernel_size), list(conv._stride), list(conv._dilation))
    if kernel != [3, 3]:
        return f"kernel {kernel[0]}x{kernel[1]}"
    if conv._groups != 1:
        kind = "depthwise" if conv._groups == conv._in_channels else "already grouped"
        return f"{kind}: groups={conv._groups}"
    if stride not in ([1, 1], [2, 2]):
        return f"stride {stride[0]}x{stride[1]}"
    if dilation[0] != dilation[1]:
        return f"dilation {dilation[0]}x{dilation[1]}"
    if conv._in_channels < MIN_IN_CHANNELS:
        return f"stem: {conv._in_channels} input channels are too few to split"
    return ""


def _padding_reason(conv: nn.Layer) -> str:
    if padding_of(conv) is not None:
        return ""
    return f"padding {conv._padding!r} gives the 3x3 and the 1x1 branches maps of different sizes"


def padding_of(conv: nn.Layer) -> int | str | None:
    """The padding of a 3x3 convolution as SPConv2D takes it; None where it can't carry it.

    `_updated_padding` is read since `_padding` is whatever the user wrote ('SAME', nested lists …).
    """
    if conv._padding_mode != "zeros":  # then Conv2D pads by itself, and `_updated_padding` is 0
        padding = list(conv._reversed_padding_repeated_twice)
    elif conv._padding_algorithm == "SAME":
        return "SAME"
    elif conv._padding_algorithm == "VALID":
        return 0
    else:
        padding = conv._updated_padding
        padding = [padding] if isinstance(padding, int) else list(padding)
    if len(set(padding)) != 1 or padding[0] not in (0, conv._dilation[0]):
        return None
    return int(padding[0])
