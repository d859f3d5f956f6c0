"""A convolution or a BatchNorm with some of its channels only, and everything else as it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.checkpoint.apply import parameter_like

_COUNTS = ("_num_features", "_num_channels")  # what BatchNorms call their number of channels
Channels = Sequence[int]


def slice_of_conv(
    conv: Any, outputs: Channels | None = None, inputs: Channels | None = None
) -> nn.Layer:
    """A Conv2D that gives some of the outputs of `conv`, and takes some of its inputs; None is all."""
    axes = {"weight": (outputs, inputs), "bias": (outputs,)}
    new: Any = _like(conv, axes)
    new._out_channels = conv._out_channels if outputs is None else len(outputs)
    new._in_channels = conv._in_channels if inputs is None else len(inputs)
    return new


def slice_of_norm(norm: Any, channels: Channels) -> nn.Layer:
    """A BatchNorm of some of the channels of `norm`."""
    names = [*norm._parameters, *norm._buffers]
    new: Any = _like(norm, dict.fromkeys(names, (channels,)))
    for count in _COUNTS:
        if hasattr(norm, count):
            setattr(new, count, len(channels))
    return new


def _like(layer: nn.Layer, chosen: dict[str, tuple[Channels | None, ...]]) -> nn.Layer:
    """A layer with the attributes of another one; what is `chosen` of its tensors, axis by axis."""
    new = object.__new__(type(layer))
    for name, value in vars(layer).items():
        own = isinstance(value, (dict, OrderedDict, set, list))
        vars(new)[name] = value.copy() if own else value
    for table in (new._parameters, new._buffers):
        for name, tensor in table.items():
            if tensor is not None and name in chosen:
                table[name] = _sliced(tensor, chosen[name])
    return new


def _sliced(tensor: Any, axes: tuple[Channels | None, ...]) -> Any:
    sizes = list(tensor.shape)
    for axis, channels in enumerate(axes):
        sizes[axis] = sizes[axis] if channels is None else len(channels)
    if not tensor._is_initialized():  # under LazyGuard: the values are yet to come
        value = paddle.zeros(sizes, tensor.dtype)
    else:
        value = tensor.detach()
        for axis, channels in enumerate(axes):
            if channels is not None:
                index = paddle.to_tensor(np.asarray(channels, np.int64), place=value.place)
                value = paddle.index_select(value, index, axis)
    return parameter_like(tensor, value) if hasattr(tensor, "optimize_attr") else value
