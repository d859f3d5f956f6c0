"""What an image network's first convolution tells of its input: channels, layout, sizes to try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from paddle import nn

from spconvify.network.replacement import Replacement

Layout = Literal["NCHW", "NHWC"]

# Small first: they're cheap; fixed-size networks only take their own.
USUAL_SIZES = (64, 32, 28, 224, 299, 128, 256, 96, 384)


def usual_shapes(model: nn.Layer) -> Iterator[tuple[int, ...]]:
    """Inputs that an image network might take, from the channels of its first convolution."""
    first = _first_convolution(model)
    if first is None:
        return
    channels, layout = first
    for size in USUAL_SIZES:
        yield (1, channels, size, size) if layout == "NCHW" else (1, size, size, channels)


def convolves_channels_last(model: nn.Layer) -> bool:
    """Whether the first convolution works on (N, H, W, C)."""
    first = _first_convolution(model)
    return first is not None and first[1] == "NHWC"


def input_layout(model: nn.Layer, shape: Sequence[int]) -> Layout:
    """Where the channels are in an input of 4 axes: as the first convolution has them, if they fit."""
    first = _first_convolution(model)
    if first is None or len(shape) != 4:
        return "NCHW"
    channels, layout = first
    # A network may turn its input around before a convolution that works on channels last.
    fits = [place for place, axis in (("NCHW", 1), ("NHWC", 3)) if shape[axis] == channels]
    return "NHWC" if (fits or [layout]) == ["NHWC"] or (layout == "NHWC" and len(fits) == 2) else "NCHW"


def _first_convolution(model: nn.Layer) -> tuple[int, str] | None:
    """The input channels and the layout of the first convolution."""
    first: Any = next(
        (m for m in model.sublayers(True) if isinstance(m, (nn.Conv2D, Replacement))), None
    )
    if first is None:
        return None
    if isinstance(first, Replacement):
        return first.in_channels, first.data_format
    return first._in_channels, first._data_format
