"""One forward pass as a graph: the operators that ran, and which of them took whose result."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from spconvify.network.inputs import Sample, forward
from spconvify.network.norms import is_known_activation, uses_own_statistics
from spconvify.network.operations import Operation, following, tensors_in, watching
from spconvify.network.replacement import Replacement
from spconvify.network.static_functions import forward_was_replaced
from spconvify.network.untouched import untouched

_NORMS = (nn.BatchNorm2D, nn.BatchNorm)


@dataclass(frozen=True, eq=False)
class Graph:
    """What `record` saw. It keeps every tensor alive, so that ids stay unique."""

    operations: list[Operation]
    inputs: dict[str, list[Any]]  # of each recorded layer's calls, by the layer's name
    outputs: dict[str, list[Any]]
    consumers: Mapping[int, list[Operation]]  # by the id of a tensor
    returned: set[int]  # ids of the tensors that the network returns
    result: Any
    missed: frozenset[str] = frozenset()  # operators that ran unseen, by Paddle's internal names

    def only_consumer(self, tensor: Any) -> Operation | None:
        """The one operator that takes `tensor`; None if there are more, or the network returns it.

        None also if an operator ran unseen, which may have taken any tensor.
        """
        if self.missed:
            return None
        operations = self.consumers.get(id(tensor), [])
        return operations[0] if len(operations) == 1 and id(tensor) not in self.returned else None

    def norm_calls(self, norm: nn.Layer) -> int:
        """How often the BatchNorm `norm` ran."""
        return sum(
            operation.name == "batch_norm" and operation.layers[-1] is norm
            for operation in self.operations
            if operation.layers
        )


def record(model: nn.Layer, layers: Mapping[str, nn.Layer], image: Sample | paddle.Tensor) -> Graph:
    """Run `model` once on `image` and remember the calls of `layers` (by name).

    Warns:
        UserWarning: if operators ran that can't be followed (see `spconvify.network.entry_points`).
    """
    missed: set[str] = set()
    operations: list[Operation] = []
    inputs: dict[str, list[Any]] = {}
    outputs: dict[str, list[Any]] = {}

    names = {id(layer): name for name, layer in layers.items()}

    def remember(layer: nn.Layer, given: Any, output: Any) -> None:
        inputs.setdefault(names[id(layer)], []).append(given)
        outputs.setdefault(names[id(layer)], []).append(output)

    with untouched(model), watching(operations.append, missed), following(layers.values(), remember):
        result = forward(model, image)
    if missed:
        warnings.warn(
            "the network holds an operator where it can't be followed "
            f"({', '.join(sorted(missed))}), in a closure or a functools.partial: no layer is taken for "
            "the only user of another's output",
            stacklevel=2,
        )
    consumers: dict[int, list[Operation]] = {}
    for operation in operations:
        for tensor in tensors_in((operation.args, operation.kwargs)):
            consumers.setdefault(id(tensor), []).append(operation)
    returned = {id(tensor) for tensor in tensors_in(result)}
    return Graph(operations, inputs, outputs, consumers, returned, result, frozenset(missed))


def uses_statistics(operation: Operation, data_format: str) -> bool:
    """Whether an operator is a plain BatchNorm layer that uses its statistics, as it does in eval mode.

    Plain is one of Paddle's own with Paddle's own forward, which gives the operator the layer's tensors
    as they are, and does nothing else afterwards. An activation of its own, which the older
    ``nn.BatchNorm`` can have, is the next operator.

    Args:
        operation: what ran.
        data_format: where the channels are of what it is given, as a convolution's ``data_format`` says.
    """
    norm: Any = operation.layers[-1] if operation.layers else None
    if operation.name != "batch_norm" or not _is_plain_norm(norm) or norm.training:
        return False
    own = (norm._mean, norm._variance, norm.weight, norm.bias)
    given = operation.args[1:5]
    if len(given) < 4 or any(a is not b for a, b in zip(given, own) if b is not None):
        return False
    is_test, *_, global_statistics, _trainable = operation.args[
        5:11
    ]  # a forward may set its mode itself
    if not (is_test or global_statistics):
        return False
    of_norm = getattr(norm, "_data_format", getattr(norm, "_data_layout", "NCHW"))
    if of_norm.startswith("NC") != data_format.startswith("NC"):
        return False
    return is_known_activation(getattr(norm, "_act", None)) and not uses_own_statistics(norm)


def data_format_of(layer: Any) -> str:
    """Where a convolution, or what stands in its place, has its channels: "NCHW" or "NHWC"."""
    return layer.data_format if isinstance(layer, Replacement) else layer._data_format


def channels_of(layer: Any) -> tuple[int, int]:
    """Input and output channels of a convolution, or of what stands in its place."""
    if isinstance(layer, Replacement):
        return layer.in_channels, layer.out_channels
    return int(layer._in_channels), int(layer._out_channels)


def _is_plain_norm(layer: Any) -> bool:
    """Whether a layer is one of Paddle's BatchNorms, whose forward nobody has replaced."""
    own = any(isinstance(layer, kind) and type(layer).forward is kind.forward for kind in _NORMS)
    return own and not forward_was_replaced(layer)
