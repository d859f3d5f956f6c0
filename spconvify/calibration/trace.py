"""What happens to a convolution's output: found from the operators that a forward pass runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.calibration.output_path import OutputPath
from spconvify.network.graph import Graph, data_format_of, record, uses_statistics
from spconvify.network.inputs import Sample
from spconvify.network.norms import gain_and_offset
from spconvify.network.operations import Operation

# Between these bounds the activation is the identity, outside it is constant.
_CLIPS = {"relu": (0.0, math.inf), "relu_": (0.0, math.inf), "relu6": (0.0, 6.0)}


@dataclass(frozen=True, eq=False)
class Tail:
    """The operators behind a convolution, as far as each takes the result of the one before alone.

    A BatchNorm in eval mode, then the addition of another tensor (a shortcut, or a parameter), then an
    activation that clips; each may be missing. `shared` says that the BatchNorm runs elsewhere too.
    """

    norm: nn.Layer | None = None
    adds: bool = False
    clip: tuple[float, float] | None = None
    shared: bool = False

    def path(self, outputs: int) -> OutputPath:
        """The same as numbers, for a convolution with `outputs` channels."""
        clip = self.clip or (-math.inf, math.inf)
        if self.norm is None:
            return OutputPath(np.ones(outputs, np.float32), np.zeros(outputs, np.float32), clip)
        gain, offset = gain_and_offset(self.norm)
        return OutputPath(gain.astype(np.float32), offset.astype(np.float32), clip)


@dataclass(frozen=True, eq=False)
class Calls:
    """How a layer is used in one forward pass."""

    number: int
    tail: Tail


def trace(
    model: nn.Layer, layers: Mapping[str, nn.Layer], image: Sample | paddle.Tensor
) -> dict[str, Calls]:
    """Run `model` once; give the layers that were called, in the order of their first calls.

    A layer whose calls have different tails gets an empty one.
    """
    graph = record(model, layers, image)
    calls = {}
    for name, tensors in graph.outputs.items():
        tails = [_tail(tensor, graph, data_format_of(layers[name])) for tensor in tensors]
        same = all(
            (t.norm, t.adds, t.clip) == (tails[0].norm, tails[0].adds, tails[0].clip) for t in tails
        )
        calls[name] = Calls(len(tensors), tails[0] if same else Tail())
    return calls


def _tail(tensor: Any, graph: Graph, data_format: str) -> Tail:
    norm, adds = None, False
    while (operation := graph.only_consumer(tensor)) is not None:
        if operation.name in _CLIPS:
            return Tail(norm, adds, _CLIPS[operation.name], _runs_elsewhere(norm, graph))
        if norm is None and not adds and uses_statistics(operation, data_format):
            norm, tensor = operation.layers[-1], operation.result[0]
        elif operation.name == "add" and not adds and addend(operation, tensor) is not None:
            adds, tensor = True, operation.result
        else:
            break
    return Tail(norm, adds, shared=_runs_elsewhere(norm, graph))


def _runs_elsewhere(norm: nn.Layer | None, graph: Graph) -> bool:
    return norm is not None and graph.norm_calls(norm) > 1


def addend(operation: Operation, tensor: Any) -> Any:
    """What an addition adds to `tensor`: another one of the same shape, or with axes of 1 in it.

    Such as a parameter (1, C, H, W). None for anything else, as where `tensor` itself is smaller.
    """
    if len(operation.args) < 2:
        return None
    first, second = operation.args[:2]
    other = second if first is tensor else first
    if other is tensor or not isinstance(other, paddle.Tensor) or len(other.shape) != len(tensor.shape):
        return None
    return other if operation.result.shape == tensor.shape else None
