"""Whether two networks compute the same: one definition, for `fuse` and for `export`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.network.copying import copied
from spconvify.network.inputs import Sample, forward
from spconvify.network.outputs import arrays

# Of an output's scale: float32 rounds differently when weights are multiplied beforehand, the more
# layers the more, and a network with a wrong layer is off by its whole scale.
TOLERANCE = 1e-3
# In float64, where the same rounding is a billion times smaller.
TOLERANCE_FLOAT64 = 1e-6
# A channel that is so small beside its output's largest is compared on this part of that one's scale:
# a softmax has classes that are next to impossible, and there nothing but rounding is left to compare.
_SMALLEST_CHANNEL = 1e-5
# Where rounding alone takes an output so far, that much more is allowed, but never as much as a wrong
# layer does.
_TIMES_ROUNDING, _MOST_ROUNDING = 4.0, 0.05
_NEXT_TO_NOTHING = 1e-3  # the scale of outputs that are smaller, in networks that float64 can't judge

Outputs = Mapping[str, np.ndarray]  # by name, as `spconvify.network.outputs.arrays` gives them


def differences(expected: Outputs, found: Outputs, smallest: float = 0.0) -> dict[str, float]:
    """How far each output of `found` is from the expected one, in parts of that one's scale.

    Numbers are compared a channel at a time, each on its own scale, which is its largest magnitude:
    scores may share an output with coordinates in pixels. Channels lie along axis 1, and along the last
    axis of (N, boxes, values) or (N, H, W, C), so both are looked at. Infinities and NaNs have to stand
    at the same places. Of integers and booleans, it is the share of those that differ. An output that is
    missing or has another shape is off by infinity.

    Args:
        expected: the outputs as they should be.
        found: those to judge.
        smallest: a scale that is smaller than this counts as this.
    """
    errors = {name: _difference(old, found.get(name), smallest) for name, old in expected.items()}
    return {**errors, **dict.fromkeys(found.keys() - expected.keys(), np.inf)}


def _difference(old: np.ndarray, new: np.ndarray | None, smallest: float) -> float:
    if new is not None and new.size == old.size == 1:
        new = new.reshape(old.shape)  # ONNX has no tensor without a dimension
    if new is None or new.shape != old.shape:
        return np.inf
    if not old.size:
        return 0.0
    if not np.issubdtype(old.dtype, np.inexact):
        return float(np.mean(old != new))
    old, new = (array.astype(np.result_type(array, np.float64)) for array in (old, new))
    finite = np.isfinite(old)
    if (
        not np.array_equal(old[~finite], new[~finite], equal_nan=True)
        or not np.isfinite(new[finite]).all()
    ):
        return np.inf
    magnitude = np.where(finite, np.abs(old), 0.0)
    distance = np.abs(np.where(finite, new, 0.0) - np.where(finite, old, 0.0))
    smallest = max(smallest, _SMALLEST_CHANNEL * float(magnitude.max()), 1e-30)
    axes = {1, old.ndim - 1} if old.ndim > 1 else {None}
    return max(_by_channel(distance, magnitude, axis, smallest) for axis in axes)


def _by_channel(distance: np.ndarray, scale: np.ndarray, axis: int | None, smallest: float) -> float:
    others = tuple(other for other in range(scale.ndim) if other != axis)
    return float((distance.max(others) / np.maximum(scale.max(others), smallest)).max())


def largest_error(expected: Any, found: Any) -> float:
    """The largest of the `differences` between two networks' results; 0 if they have no outputs."""
    return max(differences(arrays(expected), arrays(found)).values(), default=0.0)


def what_differs(expected: Outputs, found: Outputs) -> str:
    """Which output is off most, and how, for the end of a sentence about a network."""
    shapes = [[array.shape for array in outputs.values()] for outputs in (expected, found)]
    if len(expected) != len(found):
        return f"outputs are {shapes[1]} instead of {shapes[0]}"
    errors = differences(expected, found)
    name = max(errors, key=lambda key: errors[key])
    output = f"output {name!r}" if name else "output"
    old, new = expected.get(name), found.get(name)
    if old is None or new is None:
        return f"outputs are called {', '.join(found)} instead of {', '.join(expected)}"
    if old.shape != new.shape:
        return f"{output} is {new.shape} instead of {old.shape}"
    if np.isinf(errors[name]):
        return f"{output} isn't finite at other places"
    if not np.issubdtype(old.dtype, np.inexact):
        return f"{output} has other values at {errors[name]:.1e} of its places"
    return f"{output} is off by {errors[name]:.1e} of its scale"


def are_equal(
    expected: Outputs, found: Outputs, rounded: Mapping[str, float] | None, tolerance: float
) -> bool:
    """Whether every output is right, given how far rounding alone takes it.

    Args:
        expected: the outputs as they should be.
        found: those to judge.
        rounded: what float32 does to each output, as `rounding` found it; None if nobody knows.
        tolerance: what is right where rounding is as small as usual.
    """
    if rounded is None:
        return max(differences(expected, found, _NEXT_TO_NOTHING).values(), default=0.0) <= tolerance
    return all(
        error <= tolerance + _TIMES_ROUNDING * min(rounded.get(name, 0.0), _MOST_ROUNDING)
        for name, error in differences(expected, found).items()
    )


def rounding(
    model: nn.Layer, image: Sample | paddle.Tensor, *results: Outputs
) -> dict[str, float] | None:
    """How far float32 takes each output of `model` on `image` from what float64 computes.

    An output that is all but constant, as that of a sigmoid far out, is nothing but rounding, and a
    network without training can blow rounding up to the scale of its outputs.

    Args:
        model: the network, in eval mode.
        image: its input, (N, C, H, W) or a sample of several.
        results: outputs that were computed in float32, in different ways.

    Returns:
        The largest of the results' differences by output; None for a network that makes float32
        tensors of its own.
    """
    try:
        exact = arrays(forward(in_float64(model), image.astype("float64")))
    except Exception:  # whatever the user's network raises
        return None
    found = [differences(exact, result) for result in results]
    return {name: max(errors.get(name, np.inf) for errors in found) for name in exact}


def in_float64(model: nn.Layer) -> nn.Layer:
    """A copy with every floating-point parameter and buffer in float64."""
    double = copied(model)
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
