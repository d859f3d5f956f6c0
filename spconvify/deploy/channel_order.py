"""Put a layer's representative channels side by side: the layer before gives them in that order.

Channels that were chosen by their errors lie scattered, and picking them costs a gather, which leaves
oneDNN's layout. Where a convolution alone feeds an SPConv2D, the order costs nothing: it becomes the
order of that convolution's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.folding import foldable
from spconvify.deploy.markers import held_elsewhere
from spconvify.network.graph import Graph, record, uses_statistics
from spconvify.network.norms import set_value, to_float64
from spconvify.operators.spconv.folded import fold
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.surgery.sites import WeightOwners

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
    named = foldable(model)
    graph = record(model, named, image)
    readers = {
        id(tensors[0]): named[name] for name, tensors in graph.inputs.items() if len(tensors) == 1
    }
    chains = [chain for name in graph.outputs if (chain := _chain(name, named[name], readers, graph))]
    if not chains:
        return
    involved = [layer for chain in chains for layer in chain.layers]
    seen, weights = held_elsewhere(model, involved, image), WeightOwners(model)
    for chain in chains:
        if not any(id(layer) in seen or weights.is_tied(layer) for layer in chain.layers):
            _reorder(chain)


def _chain(name: str, producer: Any, readers: Mapping[int, nn.Layer], graph: Graph) -> _Chain | None:
    """From a convolution to the SPConv2D with scattered channels behind it.

    `readers` has the layer that takes a tensor, by the tensor's id.
    """
    groups = producer.groups if isinstance(producer, SPConv2D) else producer._groups
    if groups != 1 or len(graph.outputs[name]) != 1:
        return None
    tensor = graph.outputs[name][0]
    norms: list[nn.Layer] = []
    while (operation := graph.only_consumer(tensor)) is not None:
        consumer = readers.get(id(tensor))
        if consumer is not None:
            scattered = isinstance(consumer, SPConv2D) and consumer.channels is not None
            return _Chain(producer, tuple(norms), consumer) if scattered else None
        if uses_statistics(operation) and graph.norm_calls(operation.layers[-1]) == 1:
            norms.append(operation.layers[-1])
            tensor = operation.result[0]
        elif operation.name in _SAME_FOR_EVERY_CHANNEL and operation.args[0] is tensor:
            tensor = operation.result
        else:
            break
    return None


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
