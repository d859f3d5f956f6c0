"""What somebody says that a network is run on: shapes, an example, or both."""

from __future__ import annotations

from typing import Any

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError, Option
from spconvify.network.input_tensor import is_shape
from spconvify.network.inputs import Inputs


class ExampleError(ArgumentError):
    """An example on which nothing can be told; the message says why, and what to give."""


class HeldExample:
    """The `usual_inputs` of a network that came with an example; copies share it."""

    def __init__(self, inputs: Inputs):
        self.inputs = inputs

    def __call__(self) -> Inputs:
        return self.inputs

    def __deepcopy__(self, memo: Any) -> HeldExample:
        return self


def hold_example(model: nn.Layer, example: Any) -> None:
    """Let the network have this example as its `usual_inputs`.

    Raises:
        ArgumentError: if there is no tensor and no array in it, or an empty one.
        ExampleError: if it is a shape, or holds NaN.
    """
    if is_shape(example):
        raise ExampleError(
            f"its example is the shape {tuple(example)}; return the values in its place, such as "
            "paddle.rand(SHAPE)"
        )
    inputs = _holding(example, model)
    for tensor in inputs.tensors.values():
        if tensor.example is not None and not _is_numeric(tensor.example):
            raise ArgumentError("the example holds something else than numbers")
    model.usual_inputs = HeldExample(inputs)


def checked_numbers(inputs: Inputs) -> Inputs:
    """The same, if no value is NaN: some layers make a number of it, and equal outputs say nothing then.

    Infinities are let through: a mask may be made of them.

    Raises:
        ExampleError: names the input.
    """
    for name, tensor in inputs.tensors.items():
        if tensor.example is not None and _has_nan(tensor.array()):
            called = f"the example's {name!r}" if name and not inputs.is_plain else "the example"
            raise ExampleError(f"{called} holds NaN; give numbers that the network is made for")
    return inputs


def _has_nan(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def _is_numeric(example: Any) -> bool:
    return not isinstance(example, np.ndarray) or example.dtype.kind in "biuf"


def example_of(model: Any) -> Inputs | None:
    """The example that a network came with."""
    held = getattr(model, "usual_inputs", None)
    return held.inputs if isinstance(held, HeldExample) else None


def given_inputs(input_shape: Any, example: Any, model: nn.Layer) -> Inputs | None:
    """What the caller of a function gave as `input_shape` and as `example`; None if it was nothing.

    Raises:
        ArgumentError: if the example doesn't have that shape, or holds no array, or NaN.
    """
    if example is None:
        return Inputs.given(input_shape, model)
    if input_shape is None:
        return _holding(example, model)
    return checked_numbers(Inputs.of(input_shape, model).filled(example))


def _holding(example: Any, model: nn.Layer) -> Inputs:
    """`Inputs.holding`; refuses what is empty, of which nothing is counted and nothing compared."""
    inputs = checked_numbers(Inputs.holding(example, model))
    for name, tensor in inputs.tensors.items():
        if 0 in tensor.sizes:
            raise ArgumentError(f"the example is empty: {name!r} has the shape {list(tensor.sizes)}")
    return inputs


def form_of(input_shape: Any, model: nn.Layer) -> Inputs | None:
    """What a batch of pictures alone lacks, by what somebody gave; None where nothing says that.

    If nothing was given, the example that the network came with, or what a program of several inputs
    usually gets.
    """
    knows = callable(getattr(model, "completed", None))
    if input_shape is None and knows:
        input_shape = next(Inputs.usual(model))
    if input_shape is None:
        return example_of(model)
    found = Inputs.of(input_shape, model)
    return None if knows and len(found.tensors) == 1 else found


def needed_inputs(input_shape: Any, example: Any, model: nn.Layer) -> Inputs:
    """The same; the example that the network came with, if nothing is given.

    Raises:
        ArgumentError: if there is nothing at all.
    """
    found = given_inputs(input_shape, example, model) or example_of(model)
    if found is None:
        raise ArgumentError(
            "what a network costs depends on its input: give ", Option("input_shape"), "(N, C, H, W)"
        )
    return found
