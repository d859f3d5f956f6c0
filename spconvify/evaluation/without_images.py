"""How far a converted network still does what the original one does, where nobody gave images."""

from __future__ import annotations

from dataclasses import replace

from paddle import nn

from spconvify.evaluation.agreement import Agreement, agreement
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs

_ENOUGH = 4  # random images: the error on so many is within two fifths of that on 64


def agreement_without_images(original: nn.Layer, converted: nn.Layer, inputs: Inputs) -> Agreement:
    """Compare the outputs of both networks on their example, or on random numbers where there is none.

    Every output counts by its relative error, classes too: which of them is the largest says little on
    random numbers, where a network sees a few classes alone.

    Args:
        original: the network before the conversion.
        converted: the network after it.
        inputs: what both are run on.

    Raises:
        ArgumentError: if a network doesn't run on that.
    """
    is_example = all(tensor.example is not None for tensor in inputs.tensors.values())
    runs = 1 if is_example else -(-_ENOUGH // inputs.batch)
    where = "of the example" if is_example else "of random numbers"
    batches = (_with_values(inputs, seed) for seed in range(runs))
    return agreement(original, converted, batches, where, kinds="values")


def _with_values(inputs: Inputs, seed: int) -> Inputs:
    """The same with the numbers that this seed gives."""
    feeds = inputs.feeds(seed)

    def filled(tensor: InputTensor) -> InputTensor:
        return replace(tensor, shape=tensor.sizes, example=feeds[tensor.name])

    return inputs.changed(filled)
