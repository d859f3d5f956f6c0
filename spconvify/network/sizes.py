"""Pictures of other heights and widths in a network's inputs, or of any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import paddle

from spconvify.network.input_tensor import DYNAMIC, InputTensor
from spconvify.network.inputs import Inputs


def picture_size(inputs: Inputs) -> tuple[int, int] | None:
    """Height and width of the first picture; None if there is none."""
    for tensor in inputs.tensors.values():
        if tensor.spatial_axes:
            height, width = (tensor.sizes[axis] for axis in tensor.spatial_axes)
            return height, width
    return None


def of_any_size(inputs: Inputs) -> Inputs:
    """The same for pictures of any height and width; `sizes` are those from before."""

    def freed(tensor: InputTensor) -> InputTensor:
        if not tensor.spatial_axes:
            return tensor
        shape = [DYNAMIC if i in tensor.spatial_axes else n for i, n in enumerate(tensor.shape)]
        return replace(tensor, shape=tuple(shape), usual=tensor.sizes)

    return inputs.changed(freed)


def of_size(inputs: Inputs, height: int, width: int) -> Inputs:
    """The same with pictures of that size, all others in proportion to the first.

    Examples are cut, or go on with what they begin with.
    """
    first = picture_size(inputs)
    assert first is not None

    def resized(tensor: InputTensor) -> InputTensor:
        if not tensor.spatial_axes:
            return tensor
        sizes, example = list(tensor.sizes), tensor.example
        for axis, new, old in zip(tensor.spatial_axes, (height, width), first):
            sizes[axis] = sizes[axis] * new // old
            example = None if example is None else _of_length(example, axis, sizes[axis])
        return replace(tensor, shape=tuple(sizes), example=example, usual=())

    return inputs.changed(resized)


def _of_length(values: Any, axis: int, length: int) -> Any:
    array = values.numpy() if isinstance(values, paddle.Tensor) else np.asarray(values)
    return array.take(np.arange(length) % array.shape[axis], axis)
