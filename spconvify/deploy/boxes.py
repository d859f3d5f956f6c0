"""Outputs with as many rows as the values decide, as a detector's boxes: when are two of them alike?"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import EngineError
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.outputs import arrays

TRIES = 4  # inputs, until one is found on which rounding changes no number of rows
WHY = (
    "its size depends on the values, as the number of a detector's boxes does, so the smallest rounding "
    "can change it; take the network without that last step"
)
_SHIFT = 1.0  # of other values: a standard deviation of those that inputs are normalised to

Outputs = Mapping[str, np.ndarray]


class OtherNumberError(EngineError):
    """Outputs can't be compared: they differ in sizes that the values decide, and in nothing else."""


def has_other_numbers(model: nn.Layer, sample: Sample, expected: Outputs, found: Outputs) -> bool:
    """Whether `found` differs from what `model` gives on `sample` in sizes that other values change."""
    apart = different_axes(expected, found)
    if not apart:
        return False
    varying: set[tuple[str, int]] = set()
    for shift in (_SHIFT, -_SHIFT):
        with contextlib.suppress(Exception), paddle.no_grad():  # whatever it raises on other values
            other = arrays(forward(model, sample.changed(partial(_shifted, shift))))
            varying |= different_axes(expected, other) or set()
    return apart <= varying


def _shifted(shift: float, tensor: paddle.Tensor) -> paddle.Tensor:
    return tensor + shift


def different_axes(first: Outputs, second: Outputs) -> set[tuple[str, int]] | None:
    """(output, axis) where sizes differ; None where the outputs are others, or have other ranks."""
    if first.keys() != second.keys() or any(first[n].ndim != second[n].ndim for n in first):
        return None
    return {
        (name, axis)
        for name, array in first.items()
        for axis, sizes in enumerate(zip(array.shape, second[name].shape))
        if sizes[0] != sizes[1]
    }


def with_random_pictures(inputs: Inputs) -> Inputs:
    """The same without an example for what may be a picture, for other numbers of boxes."""

    def drawn(tensor: InputTensor) -> InputTensor:
        return replace(tensor, example=None) if tensor.spatial_axes else tensor

    return inputs.changed(drawn)
