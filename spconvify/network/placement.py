"""Make new layers where and as the old ones are: dtype and device."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import paddle
from paddle import nn


@contextlib.contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """New parameters get `dtype` inside the block."""
    before = paddle.get_default_dtype()
    paddle.set_default_dtype(str(dtype).rsplit(".", 1)[-1])
    try:
        yield
    finally:
        paddle.set_default_dtype(before)


def move_beside(layer: nn.Layer, tensor: paddle.Tensor) -> None:
    """Put the parameters of `layer` on the device of `tensor`."""
    parameter = next(iter(layer.parameters()))
    if str(parameter.place) != str(tensor.place):
        place = tensor.place  # of a general type, which Layer.to of Paddle 2.6 doesn't take
        layer.to(device="cpu" if place.is_cpu_place() else f"gpu:{place.gpu_device_id()}")


def input_dtype(model: nn.Layer, otherwise: Any = "float32") -> Any:
    """The dtype that a network computes in: that of its first floating parameter."""
    return next((p.dtype for p in model.parameters() if "float" in str(p.dtype)), otherwise)


def as_input(model: nn.Layer, batch: Any) -> paddle.Tensor:
    """A batch of images (an array or a tensor of floats) in the dtype that the network computes in."""
    tensor = batch if isinstance(batch, paddle.Tensor) else paddle.to_tensor(batch)
    return tensor.astype(input_dtype(model, tensor.dtype))
