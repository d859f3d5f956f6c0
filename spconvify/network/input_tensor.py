"""InputTensor: one tensor that a network is given: its shape, dtype and layout, perhaps an example."""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import paddle

from spconvify.errors import ArgumentError
from spconvify.network.first_convolution import USUAL_SIZES, Layout
from spconvify.network.random_values import random_values
from spconvify.network.structure import ends

DYNAMIC = -1  # the size of an axis that may have any


@dataclass(frozen=True, eq=False)
class InputTensor:
    """What is known of one tensor of a network's input.

    Attributes:
        shape: (N, C, H, W), or any other; -1 or None for an axis that may have any size.
        dtype: as NumPy calls it; None stands for the dtype that the network computes in.
        layout: where the channels of pictures are, "NCHW" or "NHWC"; None for what is no picture.
        name: what an engine's files call it.
        example: an array or tensor that it is to be run on, in place of random numbers; if it has
            another N, its rows are repeated, or left out.
        usual: a size for every axis, for those that may have any, where more is known than the example.
        shared: whether it is the same for all pictures of a batch, and has no row for each.
    """

    shape: tuple[int, ...]
    dtype: str | None = None
    layout: Layout | None = None
    name: str = ""
    example: Any = None
    usual: tuple[int, ...] = ()
    shared: bool = False

    def __post_init__(self) -> None:
        sizes = tuple(DYNAMIC if size is None else int(size) for size in self.shape)
        object.__setattr__(self, "shape", sizes)
        object.__setattr__(self, "dtype", None if self.dtype is None else dtype_name(self.dtype))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape with a size for every axis: the example's, or one row, and a usual size."""
        known = self.usual or (() if self.example is None else tuple(self.example.shape))
        if len(known) != len(self.shape):
            known = (1, *[USUAL_SIZES[0]] * len(self.shape))
        return tuple(own if size == DYNAMIC else size for size, own in zip(self.shape, known))

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """Where a picture's height and width are; none of what is no picture."""
        return {"NCHW": (2, 3), "NHWC": (1, 2), None: ()}[self.layout]

    def values(self, seed: int | Sequence[int] = 0) -> Any:
        """An array or a tensor of `sizes`: the example, or random numbers."""
        if self.example is None:
            return random_values(self.sizes, self.dtype or "float32", seed)
        if tuple(self.example.shape) == self.sizes:
            return self.example
        return np.resize(_array(self.example), self.sizes)

    def tensor(self, dtype: Any, seed: int | Sequence[int] = 0) -> paddle.Tensor:
        """`values` as a tensor, in its own dtype or else in `dtype`."""
        values = self.values(seed)
        tensor = values if isinstance(values, paddle.Tensor) else paddle.to_tensor(values)
        return tensor.astype(self.dtype or dtype)

    def array(self, seed: int | Sequence[int] = 0) -> np.ndarray:
        """`values` as an array for an engine, which computes in float32."""
        return _array(self.values(seed)).astype(self.dtype or "float32")


def specified(value: Any) -> Any:
    """`value` as an `InputTensor` if it is a shape, an array, a tensor or a ``paddle.static.InputSpec``.

    Lists, tuples and dictionaries of such keep their structure; anything else stays as it is.
    """
    if isinstance(value, InputTensor):
        return replace(value)
    if isinstance(value, (np.ndarray, paddle.Tensor)):
        return _like(value)
    if isinstance(value, paddle.static.InputSpec):
        return InputTensor(tuple(value.shape), _unless_float(dtype_name(value.dtype)))
    if is_shape(value):
        return InputTensor(tuple(value))
    if isinstance(value, Mapping):
        return {key: specified(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [specified(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def is_spec(value: Any) -> bool:
    """Whether it is an `InputTensor`."""
    return isinstance(value, InputTensor)


def is_shape(value: Any) -> bool:
    """Whether it is a list or tuple of sizes."""
    if not isinstance(value, (list, tuple)):
        return False
    return all(size is None or (_whole(size) and not isinstance(size, bool)) for size in value)


def dtype_name(dtype: Any) -> str:
    """A dtype of Paddle or NumPy as NumPy calls it: "float32"."""
    if isinstance(dtype, type):
        return np.dtype(dtype).name
    name = str(dtype).rsplit(".", 1)[-1]
    return _OF_OLD_PROGRAMS.get(name, name)


# How Paddle 2 prints the dtype of an InputSpec.
_OF_OLD_PROGRAMS = {
    "FP16": "float16", "FP32": "float32", "FP64": "float64", "BF16": "bfloat16", "BOOL": "bool",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64", "UINT8": "uint8",
}  # fmt: skip


def _like(example: Any) -> InputTensor:
    return InputTensor(tuple(example.shape), _unless_float(dtype_name(example.dtype)), example=example)


def _unless_float(dtype: str) -> str | None:
    """None for a float: the network's own precision counts, not that of somebody's example."""
    return None if "float" in dtype else dtype


def _whole(size: Any) -> bool:
    return isinstance(size, numbers.Integral)


def _array(values: Any) -> np.ndarray:
    if isinstance(values, paddle.Tensor):
        is_half = "float16" in dtype_name(values.dtype)
        return (values.astype("float32") if is_half else values).numpy()
    return np.asarray(values)


def fill(tensor: InputTensor, example: Any) -> InputTensor:
    """The tensor with an example.

    Raises:
        ArgumentError: if it is empty, or its shape is another one, whatever its N.
    """
    images = _array(example)
    wanted = tensor.shape[1:]
    fits = images.ndim == len(tensor.shape) and all(
        size in (own, DYNAMIC) for size, own in zip(wanted, images.shape[1:])
    )
    if not fits or not images.size:
        text = ", ".join(("N", *map(str, wanted)))
        raise ArgumentError(f"the example has the shape {images.shape}; the input wants ({text})")
    return replace(tensor, example=images)


def named(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], names: list[str]
) -> Iterator[tuple[str, InputTensor]]:
    """Every tensor with a name of its own: that of its argument, and the way to it in there."""
    alone = len(args) == 1 and not kwargs and isinstance(args[0], Mapping)
    used: set[str] = set()
    given = [*zip([""] if alone else names, args), *kwargs.items()]
    for argument, value in given:
        for name, tensor in ends(value, is_spec, argument):
            while name in used:
                name += "_"
            used.add(name)
            yield name, tensor
