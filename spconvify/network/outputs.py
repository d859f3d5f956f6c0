"""What a network returns, flattened by name: one definition for equality, distillation and agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import paddle
from paddle import nn

from spconvify.network.first_convolution import Layout, input_layout
from spconvify.network.holders import everything
from spconvify.network.structure import ends

Kind = Literal["classes", "map", "image", "values"]

# Channels that pictures have: an output with as many as the input is a picture, not a map of classes.
_PICTURE_CHANNELS = (1, 2, 3, 4)


def flatten(value: Any) -> dict[str, paddle.Tensor]:
    """Every tensor of a network's result by its name: the keys and positions on the way to it.

    Whatever holds them, as a dictionary, a list or a dataclass (see `spconvify.network.holders`); arrays
    of NumPy come as tensors. A dictionary's entries come in the order of their keys, whatever order the
    network put them in: Paddle's exported programs sort them. A result that is one tensor has the name
    "".

    Raises:
        ArgumentError: for a result that can be gone through only once, as a generator.
    """
    named: dict[str, paddle.Tensor] = {}
    for name, output in ends(value, _is_output, parts=everything()):
        while name in named:  # of {"a.b": …, "a": {"b": …}}
            name += "'"
        named[name] = output if isinstance(output, paddle.Tensor) else _tensor(output)
    return named


def arrays(value: Any) -> dict[str, np.ndarray]:
    """`flatten`, as arrays; floats of any precision as float64."""
    return {name: _array(tensor) for name, tensor in flatten(value).items()}


def _is_output(value: Any) -> bool:
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind in "biufc"
    return isinstance(value, paddle.Tensor)


def _tensor(values: Any) -> paddle.Tensor:
    """NumPy's numbers in a dtype that Paddle has: it takes uint16 for bfloat16."""
    array = np.asarray(values)
    others = {"uint16": "int32", "uint32": "int64", "uint64": "int64"}
    largest = {"f": "float64", "c": "complex128"} if array.dtype.itemsize > 8 else {}
    dtype = others.get(array.dtype.name) or largest.get(array.dtype.kind)
    return paddle.to_tensor(array if dtype is None else array.astype(dtype))


def _array(tensor: Any) -> np.ndarray:
    is_float = paddle.is_floating_point(tensor)
    return (tensor.astype("float64") if is_float else tensor).numpy()


@dataclass(frozen=True)
class Frame:
    """The input's shape and layout: beside them an output's shape tells what it is."""

    shape: tuple[int, ...]
    layout: Layout = "NCHW"

    @classmethod
    def of(cls, model: nn.Layer, shape: Sequence[int]) -> Frame:
        """For a network whose input has this shape."""
        return cls(tuple(shape), input_layout(model, shape))

    def class_axis(self, shape: Sequence[int]) -> int:
        """Where the channels or classes of an output of this shape are: axis 1, or the last one.

        Of (N, K, H, W) and (N, H, W, K) it is the one that has height and width as the input has them,
        or in proportion: a network may turn its maps around. Where that doesn't tell, as with square
        maps of as many channels, they lie as in the input.
        """
        if len(shape) <= 2:
            return 1
        own, other = (1, 3) if self.layout == "NCHW" else (3, 1)
        if len(shape) != 4 or len(self.shape) != 4:
            return own if own == 1 else len(shape) - 1
        for alike in (_equal, _in_proportion):
            for axis in (own, other):
                if alike(_sizes(shape, axis), _sizes(self.shape, own)):
                    return axis
        return own

    def kind_of(self, shape: Sequence[int]) -> Kind:
        """What an output of this shape is, as far as its shape can tell.

        "classes": (N, K) scores of K > 1 classes. "map": (N, K, H, W) or (N, H, W, K), scores of K > 1
        classes for every pixel. "image": the same with the input's own few channels, as networks for
        restoration and super-resolution have, or with one channel. "values": anything else.
        """
        if len(shape) == 2 and shape[1] > 1:
            return "classes"
        if len(shape) != 4:
            return "values"
        channels = shape[self.class_axis(shape)]
        as_input = len(self.shape) == 4 and channels == self.shape[1 if self.layout == "NCHW" else 3]
        return "image" if channels == 1 or (as_input and channels in _PICTURE_CHANNELS) else "map"


def _sizes(shape: Sequence[int], channels: int) -> tuple[int, int]:
    """Height and width."""
    return (shape[2], shape[3]) if channels == 1 else (shape[1], shape[2])


def _equal(sizes: tuple[int, int], of_input: tuple[int, int]) -> bool:
    return sizes == of_input


def _in_proportion(sizes: tuple[int, int], of_input: tuple[int, int]) -> bool:
    """But for the rounding of one pixel."""
    (height, width), (input_height, input_width) = sizes, of_input
    return abs(height * input_width - width * input_height) <= max(of_input)
