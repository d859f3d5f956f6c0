"""Put a layer's representative channels side by side: the layer before gives them in that order.

Channels that were chosen by their errors lie scattered, and picking them costs a gather, which leaves
oneDNN's layout. Where a convolution alone feeds the layer, the order costs nothing: it becomes the
order of that convolution's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from spconvify.deploy.folding import foldable, forms_of
from spconvify.deploy.fusible import is_read_elsewhere
from spconvify.deploy.markers import held_elsewhere
from spconvify.network.graph import Graph, data_format_of, record, uses_statistics
from spconvify.network.inputs import Sample
from spconvify.network.norms import set_value, to_float64
from spconvify.surgery.sites import WeightOwners

# Operators that do the same to every channel, whatever the others are.
_SAME_FOR_EVERY_CHANNEL = frozenset(
    "celu celu_ elu elu_ gelu hardsigmoid hardsigmoid_ hardswish hardtanh hardtanh_ leaky_relu "
    "leaky_relu_ mish pool2d relu relu_ relu6 selu sigmoid sigmoid_ silu softplus swish tanh "
    "tanh_".split()
)

_PER_OUTPUT = ("weight", "bias", "_mean", "_variance")  # of a convolution, or a BatchNorm


@dataclass(frozen=True, eq=False)
class _Chain:
    """A convolution, the BatchNorms behind it, and the scattered layer that alone takes their result."""

    producer: nn.Layer
    norms: tuple[nn.Layer, ...]
    consumer: nn.Layer

    @property
    def layers(self) -> tuple[nn.Layer, ...]:
        return (self.producer, *self.norms, self.consumer)


def has_scattered_channels(model: nn.Layer) -> bool:
    """Whether a layer of `model` takes its channels in an order of its own."""
    return any(map(_is_scattered, model.sublayers(include_self=True)))


def put_side_by_side(model: nn.Layer, *images: Sample | paddle.Tensor) -> None:
    """Reorder the output channels of convolutions so that scattered layers find theirs side by side.

    In place; `model`, in eval mode, gives the same outputs. Only convolutions that mix all channels are
    reordered (a group's outputs have to stay together), and only where nothing else sees their outputs
    or their weights, on any of the images. Runs each of these up to twice if any channels lie scattered.
    """
    if not has_scattered_channels(model):
        return
    named = foldable(model)
    graphs = [record(model, named, image) for image in images]
    chains = _chains_in_all(named, graphs)
    if not chains:
        return
    involved = [layer for chain in chains for layer in chain.layers]
    seen = {key for image in images for key in held_elsewhere(model, involved, image)}
    weights = WeightOwners(model)
    for chain in chains:
        held = any(id(layer) in seen or weights.is_tied(layer) for layer in chain.layers)
        read = any(is_read_elsewhere(layer, graph) for layer in chain.layers for graph in graphs)
        if not held and not read:
            _reorder(chain)


def _chains_in_all(named: Mapping[str, nn.Layer], graphs: Sequence[Graph]) -> list[_Chain]:
    """The chains that are the same in every run in which one of their layers takes part."""
    found = [_chains(named, graph) for graph in graphs]
    kept = {key: chain for chains in found for key, chain in chains.items()}
    for chains, graph in zip(found, graphs):
        ran = {id(named[name]) for name in graph.outputs}
        for key, chain in list(kept.items()):
            takes_part = id(chain.producer) in ran or id(chain.consumer) in ran
            if key not in chains and (takes_part or any(map(graph.norm_calls, chain.norms))):
                del kept[key]
    return list(kept.values())


def _chains(named: Mapping[str, nn.Layer], graph: Graph) -> dict[tuple[int, ...], _Chain]:
    """The chains of one run, by the ids of their layers."""
    readers = {
        id(tensors[0]): named[name] for name, tensors in graph.inputs.items() if len(tensors) == 1
    }
    chains = [chain for name in graph.outputs if (chain := _chain(name, named[name], readers, graph))]
    return {tuple(map(id, chain.layers)): chain for chain in chains}


def _chain(name: str, producer: Any, readers: Mapping[int, nn.Layer], graph: Graph) -> _Chain | None:
    """From a convolution to the layer with scattered channels behind it.

    `readers` has the layer that takes a tensor, by the tensor's id.
    """
    if _per_output(producer) is None or len(graph.outputs[name]) != 1:
        return None
    tensor = graph.outputs[name][0]
    norms: list[nn.Layer] = []
    while (operation := graph.only_consumer(tensor)) is not None:
        consumer = readers.get(id(tensor))
        if consumer is not None:
            return _Chain(producer, tuple(norms), consumer) if _is_scattered(consumer) else None
        if (
            uses_statistics(operation, data_format_of(producer))
            and graph.norm_calls(operation.layers[-1]) == 1
        ):
            norms.append(operation.layers[-1])
            tensor = operation.result[0]
        elif operation.name in _SAME_FOR_EVERY_CHANNEL and operation.args[0] is tensor:
            tensor = operation.result
        else:
            break
    return None


def _reorder(chain: _Chain) -> None:
    forms: Any = forms_of(chain.consumer)
    order = forms.wanted_order(chain.consumer)
    for layer in (chain.producer, *chain.norms):
        for tensor in _per_output(layer) or ():
            set_value(tensor, to_float64(tensor)[order])
    forms.take_in_order(chain.consumer, order)


def _is_scattered(layer: nn.Layer) -> bool:
    forms = forms_of(layer)
    return forms is not None and forms.is_scattered(layer)


def _per_output(layer: Any) -> Sequence[Any] | None:
    """Everything in a convolution or a BatchNorm that has an entry for every output channel.

    None for a convolution whose outputs have to stay in their order, as a group's have.
    """
    forms = forms_of(layer)
    if forms is not None:
        return forms.outputs(layer)
    if isinstance(layer, nn.Conv2D) and layer._groups != 1:
        return None
    tensors = [getattr(layer, name, None) for name in _PER_OUTPUT]
    return [tensor for tensor in tensors if tensor is not None]
