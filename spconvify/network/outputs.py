"""What a network returns, flattened by name: one definition for equality, distillation and agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import paddle

Kind = Literal["classes", "map", "image", "values"]

# Channels that pictures have: an output with as many as the input is a picture, not a map of classes.
_PICTURE_CHANNELS = (1, 2, 3, 4)


def flatten(value: Any) -> dict[str, paddle.Tensor]:
    """Every tensor of a network's result by its name: the keys and positions on the way to it.

    A dictionary's entries come in the order of their keys, whatever order the network put them in:
    Paddle's exported programs sort them. A result that is one tensor has the name "".
    """
    named: dict[str, paddle.Tensor] = {}
    for name, tensor in _named(value, ""):
        while name in named:  # of {"a.b": …, "a": {"b": …}}
            name += "'"
        named[name] = tensor
    return named


def _named(value: Any, name: str) -> Iterator[tuple[str, paddle.Tensor]]:
    if isinstance(value, (paddle.Tensor, np.ndarray)):
        yield name, value
        return
    if isinstance(value, Mapping):
        items: Any = _in_order(value)
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield from _named(item, f"{name}.{key}" if name else str(key))


def _in_order(value: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    try:
        return sorted(value.items(), key=lambda item: item[0])
    except TypeError:  # keys of several kinds
        return sorted(value.items(), key=lambda item: str(item[0]))


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
