"""One forward pass as a graph: the operators that ran, and which of them took whose result."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from spconvify.network.norms import is_known_activation
from spconvify.network.operations import Operation, following, tensors_in, watching
from spconvify.network.untouched import untouched


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


def record(model: nn.Layer, layers: Mapping[str, nn.Layer], image: paddle.Tensor) -> Graph:
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
        result = model(image)
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


def uses_statistics(operation: Operation) -> bool:
    """Whether an operator is a BatchNorm layer that uses its statistics, as it does in eval mode.

    An activation of its own, which the older ``nn.BatchNorm`` can have, is the next operator.
    """
    norm: Any = operation.layers[-1] if operation.layers else None
    if operation.name != "batch_norm" or not hasattr(norm, "_variance") or norm.training:
        return False
    if isinstance(norm, nn.BatchNorm):
        return is_known_activation(norm._act) and not norm._trainable_statistics
    return getattr(norm, "_use_global_stats", None) is not False
