"""Put a layer's representative channels side by side: the layer before gives them in that order.

Channels that were chosen by their errors lie scattered, and picking them costs a gather, which leaves
oneDNN's layout. Where a convolution alone feeds an SPConv2D, the order costs nothing: it becomes the
order of that convolution's weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.folding import fold, set_value
from spconvify.deploy.markers import held_elsewhere
from spconvify.graph import Graph, record, uses_statistics
from spconvify.norms import to_float64
from spconvify.sites import has_hooks, walk
from spconvify.spconv import SPConv2D

# Operators that do the same to every channel, whatever the others are.
_SAME_FOR_EVERY_CHANNEL = frozenset(
    "celu celu_ elu elu_ gelu hardsigmoid hardsigmoid_ hardswish hardtanh hardtanh_ leaky_relu "
    "leaky_relu_ mish pool2d relu relu_ relu6 selu sigmoid sigmoid_ silu softplus swish tanh "
    "tanh_".split()
)


@dataclass(frozen=True, eq=False)
class _Chain:
    """A convolution, the BatchNorms behind it, and the SPConv2D that alone takes what they give."""

    producer: nn.Layer
    norms: tuple[nn.Layer, ...]
    consumer: SPConv2D

    @property
    def layers(self) -> tuple[nn.Layer, ...]:
        return (self.producer, *self.norms, self.consumer)


def has_scattered_channels(model: nn.Layer) -> bool:
    """Whether an SPConv2D of `model` has an order of channels of its own."""
    layers = model.sublayers(include_self=True)
    return any(isinstance(layer, SPConv2D) and layer.channels is not None for layer in layers)


def put_side_by_side(model: nn.Layer, image: paddle.Tensor) -> None:
    """Reorder the output channels of convolutions so that SPConv2D layers find theirs side by side.

    In place; `model`, in eval mode, gives the same outputs. Only convolutions that mix all channels are
    reordered (a group's outputs have to stay together), and only where nothing else sees their outputs
    or their weights. Runs `image` up to twice if any channels lie scattered.
    """
    if not has_scattered_channels(model):
        return
    layers = {id(edge.layer): edge for edge in walk(model)}.values()
    named = {
        edge.name: edge.layer
        for edge in layers
        if type(edge.layer) in (nn.Conv2D, SPConv2D) and not has_hooks(edge.layer)
    }
    graph = record(model, named, image)
    chains = [chain for name in graph.outputs if (chain := _chain(name, named, graph))]
    if not chains:
        return
    involved = [layer for chain in chains for layer in chain.layers]
    unusable = held_elsewhere(model, involved, image) | _tied(model)
    for chain in chains:
        if not unusable.intersection(map(id, chain.layers)):
            _reorder(chain)


def _chain(name: str, named: dict[str, nn.Layer], graph: Graph) -> _Chain | None:
    """From the convolution of that name to the SPConv2D with scattered channels behind it."""
    producer: Any = named[name]
    groups = producer.groups if isinstance(producer, SPConv2D) else producer._groups
    if groups != 1 or len(graph.outputs[name]) != 1:
        return None
    inputs = {id(tensors[0]): other for other, tensors in graph.inputs.items() if len(tensors) == 1}
    tensor = graph.outputs[name][0]
    norms: list[nn.Layer] = []
    while (operation := graph.only_consumer(tensor)) is not None:
        consumer = named.get(inputs.get(id(tensor), ""))
        if consumer is not None:
            scattered = isinstance(consumer, SPConv2D) and consumer.channels is not None
            return _Chain(producer, tuple(norms), consumer) if scattered else None
        if uses_statistics(operation) and _is_called_once(operation.layers[-1], graph):
            norms.append(operation.layers[-1])
            tensor = operation.result[0]
        elif operation.name in _SAME_FOR_EVERY_CHANNEL and operation.args[0] is tensor:
            tensor = operation.result
        else:
            break
    return None


def _is_called_once(norm: nn.Layer, graph: Graph) -> bool:
    calls = [op for op in graph.operations if op.name == "batch_norm" and op.layers[-1:] == (norm,)]
    return len(calls) == 1


def _tied(model: nn.Layer) -> set[int]:
    """Ids of the layers that share a parameter with another, an SPConv2D's own layers included."""
    layers = model.sublayers(include_self=True)
    owners = Counter(id(parameter) for layer in layers for parameter in layer._parameters.values())
    return {
        id(layer)
        for layer in layers
        if isinstance(layer, (nn.Conv2D, SPConv2D)) or hasattr(layer, "_variance")
        if any(owners[id(parameter)] > 1 for parameter in layer.parameters())
    }


def _reorder(chain: _Chain) -> None:
    order = fold(chain.consumer).channels
    for layer in (chain.producer, *chain.norms):
        for tensor in _per_output(layer):
            set_value(tensor, to_float64(tensor)[order])
    place = np.argsort(order)  # where every channel is now
    old = chain.consumer.channels
    new = paddle.to_tensor(place[old.numpy()], dtype="int64", place=old.place)
    chain.consumer.channels = new


def _per_output(layer: Any) -> Sequence[Any]:
    """Everything in a convolution or a BatchNorm that has an entry for every output channel."""
    inputs = getattr(layer, "channels", None)
    return [tensor for tensor in [*layer.parameters(), *layer.buffers()] if tensor is not inputs]
