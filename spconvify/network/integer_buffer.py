"""Buffers of integers that stay integers, whatever the other tensors are cast to or averaged with.

``Layer.to(dtype=...)`` casts every buffer (Paddle #43760); a moving average over the state dict gives
floats back, which ``set_state_dict`` refuses for integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
from paddle import nn


class IntegerTensor(paddle.Tensor):
    """An int64 tensor that takes floats as the integers that they are next to."""

    def set_value(self, value: Any) -> Any:
        """As ``Tensor.set_value``, for an array or a tensor of any numeric dtype."""
        return super().set_value(_integers(value))

    def to(self, *args: Any, **kwargs: Any) -> paddle.Tensor:
        """A copy, cast or moved; the tensor itself stays, which Paddle 2 would cast in place."""
        return paddle.to_tensor(self.numpy(), place=self.place).to(*args, **kwargs)

    def __deepcopy__(self, memo: Any) -> IntegerTensor:
        new = integer_tensor(self)
        memo[id(self)] = new
        return new

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As ``paddle.save`` stores any tensor: its name and its array."""
        return tuple, ((self.name, self.numpy()),)


class KeepsIntegers(nn.Layer):
    """A layer whose `IntegerTensor` buffers stay what they are when the layer is cast or assigned to."""

    def __setattr__(self, name: str, value: Any) -> None:
        held = self.__dict__.get("_buffers", {}).get(name)
        if isinstance(held, IntegerTensor) and isinstance(value, paddle.Tensor):
            self._buffers[name] = integer_tensor(value)
        else:
            super().__setattr__(name, value)

    def register_integers(self, name: str, values: Sequence[int] | np.ndarray | None) -> None:
        """As ``register_buffer``, which takes no subclass of a tensor; None: without values."""
        self.register_buffer(name, None)
        if values is not None:
            self._buffers[name] = integer_tensor(values)

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        """Cast and move everything, as Layer.to does; the integers are moved only."""
        before = {
            key: buffer.numpy()
            for key, buffer in self._buffers.items()
            if isinstance(buffer, IntegerTensor)
        }
        result = super()._apply(*args, **kwargs)
        for key, values in before.items():
            if self._buffers[key].dtype != paddle.int64:
                self._buffers[key] = integer_tensor(values, self._buffers[key].place)
        return result


def integer_tensor(values: Any, place: Any = None) -> IntegerTensor:
    """`values` as an int64 buffer, on the device of `values`, or on `place`."""
    if place is None:
        place = values.place if isinstance(values, paddle.Tensor) else None
    return IntegerTensor(paddle.to_tensor(_integers(values), dtype="int64", place=place))


def _integers(values: paddle.Tensor | np.ndarray | Sequence[int]) -> np.ndarray:
    """int64, rounded; bfloat16 (uint16 in NumPy) is no integer type."""
    if isinstance(values, paddle.Tensor):
        values = (values.astype("float32") if "bfloat16" in str(values.dtype) else values).numpy()
    array = np.asarray(values)
    return np.rint(array).astype(np.int64) if array.dtype.kind == "f" else array.astype(np.int64)
