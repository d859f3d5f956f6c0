"""What a network returns, flattened by name: one definition for equality, distillation and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import paddle

from spconvify.network.structure import ends

Kind = Literal["classes", "map", "image", "values"]

# Channels that pictures have: an output with as many as the input is a picture, not a map of classes.
_PICTURE_CHANNELS = (1, 2, 3, 4)


def flatten(value: Any) -> dict[str, paddle.Tensor]:
    """Every tensor of a network's result by its name: the keys and positions on the way to it.

    A dictionary's entries come in the order of their keys, whatever order the network put them in:
    Paddle's exported programs sort them. A result that is one tensor has the name "".
    """
    named: dict[str, paddle.Tensor] = {}
    for name, tensor in ends(value, _is_output):
        while name in named:  # of {"a.b": …, "a": {"b": …}}
            name += "'"
        named[name] = tensor
    return named


def arrays(value: Any) -> dict[str, np.ndarray]:
    """`flatten`, as arrays; floats of any precision as float64."""
    return {name: _array(tensor) for name, tensor in flatten(value).items()}


def _is_output(value: Any) -> bool:
    return isinstance(value, (paddle.Tensor, np.ndarray))


def _array(tensor: Any) -> np.ndarray:
    if isinstance(tensor, np.ndarray):
        return tensor.astype(np.float64) if tensor.dtype.kind == "f" else tensor
    is_float = paddle.is_floating_point(tensor)
    return (tensor.astype("float64") if is_float else tensor).numpy()


def kind_of(shape: Sequence[int], input_channels: int | None = None) -> Kind:
    """What an output of this shape is, as far as its shape can tell.

    "classes": (N, K) scores of K > 1 classes. "map": (N, K, H, W), scores of K > 1 classes for every
    pixel; the class axis of both is 1. "image": (N, C, H, W) with the input's own few channels, as
    networks for restoration and super-resolution have, or with one channel. "values": anything else.
    """
    if len(shape) == 2 and shape[1] > 1:
        return "classes"
    if len(shape) == 4:
        channels = shape[1]
        as_input = channels == input_channels and channels in _PICTURE_CHANNELS
        return "image" if channels == 1 or as_input else "map"
    return "values"
