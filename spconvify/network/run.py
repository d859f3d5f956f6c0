"""Run a network for our own purposes: in eval mode, on inputs that it takes, as if nothing had been."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import paddle
from paddle import nn

from spconvify.network.replacement import Replacement
from spconvify.network.static_functions import as_written
from spconvify.network.untouched import untouched

# Small first: they're cheap; fixed-size networks only take their own.
USUAL_SIZES = (64, 32, 28, 224, 299, 128, 256, 96, 384)


def guess_input_shapes(model: nn.Layer) -> Iterator[tuple[int, ...]]:
    """Inputs that an image network might take, from the channels of its first convolution."""
    first = _first_convolution(model)
    if first is None:
        return
    channels, layout = first
    for size in USUAL_SIZES:
        yield (1, channels, size, size) if layout == "NCHW" else (1, size, size, channels)


def input_layout(model: nn.Layer, shape: Sequence[int]) -> Literal["NCHW", "NHWC"]:
    """Where the channels are in an input of 4 axes: as the first convolution has them, if they fit."""
    first = _first_convolution(model)
    if first is None or len(shape) != 4:
        return "NCHW"
    channels, layout = first
    # A network may turn its input around before a convolution that works on channels last.
    fits = [place for place, axis in (("NCHW", 1), ("NHWC", 3)) if shape[axis] == channels]
    return "NHWC" if (fits or [layout]) == ["NHWC"] or (layout == "NHWC" and len(fits) == 2) else "NCHW"


def usual_input(model: nn.Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A guessed (N, C, H, W), or (N, H, W, C) where only that runs: for networks with channels last."""
    first = _first_convolution(model)
    if first is None or first[1] == "NCHW" or len(shape) != 4:
        return shape
    batch, channels, height, width = shape
    for candidate in (shape, (batch, height, width, channels)):
        with trying(model), contextlib.suppress(Exception):
            model(random_input(candidate))
            return candidate
    return shape


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


def random_input(shape: Sequence[int], dtype: Any = "float32", seed: int = 0) -> paddle.Tensor:
    """A standard normal input; leaves Paddle's own random state alone."""
    values = np.random.default_rng(seed).standard_normal(tuple(shape), dtype="float32")
    return paddle.to_tensor(values).astype(dtype)


@contextlib.contextmanager
def evaluating(model: nn.Layer) -> Iterator[None]:
    """Eval mode for the block, every layer's own mode afterwards; without ``paddle.jit.to_static``."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    try:
        for layer, _ in modes:
            layer.training = False
        with as_written():
            yield
    finally:
        for layer, training in modes:
            layer.training = training


@contextlib.contextmanager
def trying(model: nn.Layer) -> Iterator[None]:
    """For runs of our own: eval mode, no gradients, and nothing of them is left on the network."""
    with untouched(model), evaluating(model), paddle.no_grad():
        yield
