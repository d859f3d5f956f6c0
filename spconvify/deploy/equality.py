"""Whether a fused network computes the same: in float32 up to rounding, or else in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.graph import tensors_in

# Of the outputs' scale: float32 rounds differently when weights are multiplied beforehand, the more
# layers the more, and a network with a wrong layer is off by its whole scale.
TOLERANCE = 1e-3
# In float64, where the same rounding is a billion times smaller.
TOLERANCE_FLOAT64 = 1e-6


def largest_error(expected: Any, result: Any) -> float:
    """The largest difference of two networks' outputs, each relative to its expected scale.

    An output that isn't finite can't be compared, and counts as equal.
    """
    errors = [0.0]
    for old, new in zip(tensors_in(expected), tensors_in(result)):
        old, new = (tensor.astype("float64").numpy() for tensor in (old, new))
        if old.size and np.isfinite(old).all():
            difference = np.abs(old - new).max() / max(np.abs(old).max(), 1e-30)
            errors.append(float(np.nan_to_num(difference, nan=np.inf)))
    return max(errors)


def in_float64(model: nn.Layer) -> nn.Layer:
    """A copy with every floating-point parameter and buffer in float64."""
    double = copy.deepcopy(model)
    others = [
        (layer, name, buffer.clone())
        for layer in double.sublayers(include_self=True)
        for name, buffer in layer._buffers.items()
        if buffer is not None and not paddle.is_floating_point(buffer)
    ]
    double.to(dtype="float64")
    for layer, name, buffer in others:  # Layer.to casts integers too
        layer._buffers[name] = buffer
    return double
