"""A BatchNorm in eval mode as what it is: a gain and an offset for every channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.network.layers import ACTIVATIONS, Activation, Identity

_KINDS = (nn.BatchNorm, nn.BatchNorm1D, nn.BatchNorm2D, nn.BatchNorm3D)


def gain_and_offset(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """(gain, offset), each (C,) in float64, of a BatchNorm that uses its statistics.

    ``norm(x) = gain · x + offset`` with ``gain = weight / sqrt(variance + epsilon)`` and
    ``offset = bias - gain · mean``; a missing weight is 1, a missing bias 0.
    """
    epsilon = float(np.float32(norm._epsilon))  # as the operator takes it, in float64 too
    gain = 1.0 / np.sqrt(to_float64(norm._variance) + epsilon)
    if norm.weight is not None:
        gain = gain * to_float64(norm.weight)
    offset = -gain * to_float64(norm._mean)
    if norm.bias is not None:
        offset = offset + to_float64(norm.bias)
    return gain, offset


def uses_own_statistics(norm: Any) -> bool:
    """Whether a BatchNorm normalises by each batch's own statistics in eval mode too.

    Paddle's engines don't heed that where they make it part of a convolution.
    """
    if isinstance(norm, nn.BatchNorm):
        return bool(norm._trainable_statistics)
    return getattr(norm, "_use_global_stats", None) is False


def norm_of_own_statistics(model: nn.Layer) -> str | None:
    """The name of the first BatchNorm with `uses_own_statistics`."""
    return next(
        (
            name
            for name, layer in model.named_sublayers()
            if isinstance(layer, _KINDS) and uses_own_statistics(layer)
        ),
        None,
    )


def to_float64(tensor: Any) -> np.ndarray:
    """The values of a tensor of any float dtype (bfloat16 has none of its own in NumPy)."""
    dtype = "float64" if "float64" in str(tensor.dtype) else "float32"
    return tensor.astype(dtype).numpy().astype(np.float64)


def is_known_activation(act: str | None) -> bool:
    """Whether `without_normalising` knows an ``nn.BatchNorm``'s activation."""
    return act is None or act in ACTIVATIONS


def without_normalising(norm: Any) -> nn.Layer:
    """What a BatchNorm does besides: its activation, or nothing."""
    act = getattr(norm, "_act", None)
    return Identity() if act is None else Activation(act)


def bias_of(conv: Any, outputs: int) -> np.ndarray:
    """(L,) the bias of a convolution as float64; zeros where it has none."""
    return np.zeros(outputs) if conv.bias is None else to_float64(conv.bias)


def set_value(parameter: Any, values: np.ndarray) -> None:
    """Set a parameter from float64, whatever its dtype."""
    parameter.set_value(paddle.to_tensor(values, dtype="float64").astype(parameter.dtype))
