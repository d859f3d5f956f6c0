"""What a fused network is held to the original on: several inputs, and what the original gives there.

One isn't enough: a network may take another way for other values or sizes, and outputs that aren't
finite tell nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError, ConversionError
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.outputs import arrays
from spconvify.network.run import run_usual
from spconvify.network.untouched import untouched

Outputs = dict[str, np.ndarray]
_LEAST = 0.1
_SHIFT = 1.0  # of other values: a standard deviation of those that inputs are normalised to


@dataclass(frozen=True)
class Trial:
    """One input, and the original's outputs by name."""

    sample: Sample
    expected: Outputs


def find_trials(model: nn.Layer, inputs: Inputs | None, has_example: bool = False) -> list[Trial]:
    """The first input, the same with other values, and one of another size, if the network takes it.

    Args:
        model: the original network, in eval mode; comes back as it was.
        inputs: the first input; None tries usual ones.
        has_example: whether it holds values that somebody chose.

    Raises:
        ArgumentError: if the network doesn't run, or gives nothing finite.
        ConversionError: if no tensor is found in what it returns.
    """

    def act(sample: Sample) -> Trial:
        with untouched(model, random_states=False):
            return Trial(sample, arrays(forward(model, sample)))

    inputs, first = run_usual(model, inputs, act=act)
    _check_outputs(first)
    positive = bool(blind(first.expected)) and not has_example
    if positive:  # of a logarithm or a root
        first = act(_positive(first.sample))
    for name in blind(first.expected):
        called = f"output {name!r}" if name else "output"
        values = "the example" if has_example else "random numbers"
        raise ArgumentError(
            f"the network's {called} isn't finite anywhere on {values}, so nothing can be compared; "
            "give example=IMAGES, a few of those that it is made for"
        )
    other = inputs.of_another_size().sample(model)
    samples = [
        first.sample.changed(lambda tensor: tensor + _SHIFT),
        _positive(other) if positive else other,
    ]
    return [first, *_those_that_run(samples, act)]


def _those_that_run(samples: list[Sample], act: Callable[[Sample], Trial]) -> list[Trial]:
    found = []
    for sample in samples:
        try:
            trial = act(sample)
        except Exception:  # whatever the user's network raises on a size that it doesn't take
            continue
        if not blind(trial.expected):
            found.append(trial)
    return found


def _positive(sample: Sample) -> Sample:
    return sample.changed(lambda tensor: tensor.abs() + _LEAST)


def positive(inputs: Inputs) -> Inputs:
    """The same with the numbers that a network is tried on where others give nothing finite."""

    def drawn(tensor: InputTensor) -> InputTensor:
        if tensor.example is not None or tensor.dtype is not None:
            return tensor
        return replace(tensor, example=np.abs(tensor.array()) + _LEAST)

    return inputs.changed(drawn)


def _check_outputs(trial: Trial) -> None:
    if not trial.expected:
        raise ConversionError(
            "no tensor is found in what the network returns, so nothing can be compared; let it return "
            "tensors, alone or in lists, tuples and dictionaries"
        )


def blind(outputs: Outputs) -> list[str]:
    """Outputs without a single finite number, though they have numbers: nothing can be told by them."""
    return [name for name, array in outputs.items() if array.size and not _any_finite(array)]


def _any_finite(array: Any) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).any())
