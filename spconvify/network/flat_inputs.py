"""A network behind a layer that takes all tensors in one list: for Paddle's tracer, and for pickles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import paddle
from paddle import nn

from spconvify.network.input_tensor import InputTensor, is_spec
from spconvify.network.inputs import Inputs
from spconvify.network.structure import mapped


class TakesList(nn.Layer):
    """`network`, given a list of tensors in the order of ``inputs.tensors``."""

    def __init__(self, network: nn.Layer, inputs: Inputs):
        super().__init__()
        self.network = network
        self._form = mapped((inputs.args, inputs.kwargs), is_spec, _without_example)
        self._names = list(inputs.tensors)

    def forward(self, tensors):
        args, kwargs = _arguments(self._form, self._names, tensors)
        return self.network(*args, **kwargs)


@paddle.jit.not_to_static  # it only hands tensors on
def _arguments(form: Any, names: Sequence[str], tensors: Sequence[Any]) -> Any:
    named = dict(zip(names, tensors))
    return mapped(form, is_spec, lambda tensor: named[tensor.name])


def _without_example(tensor: InputTensor) -> InputTensor:
    return replace(tensor, example=None)
