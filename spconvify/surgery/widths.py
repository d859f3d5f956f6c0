"""Which channels of a network can go: those that one convolution gives and one other alone takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paddle import nn

from spconvify.network.edges import walk
from spconvify.network.graph import Graph, data_format_of, record, uses_statistics
from spconvify.network.inputs import Sample
from spconvify.network.operations import Operation
from spconvify.surgery.sites import Site, WeightOwners, find_sites, has_hooks

# Operators that treat every channel alike, whatever the others are.
CHANNELWISE = frozenset(
    """relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ celu selu gelu silu swish mish softplus softsign
    sigmoid sigmoid_ tanh tanh_ hardtanh hardtanh_ hardswish hard_swish hardsigmoid hardshrink softshrink
    tanh_shrink thresholded_relu logsigmoid dropout pool2d max_pool2d_with_index assign""".split()
)


@dataclass(frozen=True)
class Width:
    """Channels between two convolutions, by their names, and the BatchNorms in between."""

    producer: str
    consumer: str
    channels: int
    norms: tuple[str, ...] = ()


def find_widths(model: nn.Layer, sample: Sample) -> list[Width]:
    """The channels that can be narrowed, in the order in which they are made.

    Both ends are plain convolutions with one group that run once, and between them are nothing but
    plain BatchNorms, each of which runs once, and operators that treat every channel alike.

    Args:
        model: in eval mode, without gradients; comes back as it was.
        sample: what it is run on.
    """
    sites = {site.name: site for site in find_sites(model)}
    layers = {name: site.layer for name, site in sites.items()}
    graph = record(model, layers, sample)
    walker = _Walker(model, graph, sites)
    found = (walker.width(name) for name in graph.outputs)
    return [width for width in found if width is not None]


class _Walker:
    def __init__(self, model: nn.Layer, graph: Graph, sites: Mapping[str, Site]):
        self._graph, self._sites = graph, sites
        self._names: dict[int, list[str]] = {}
        for edge in walk(model):
            self._names.setdefault(id(edge.layer), []).append(edge.name)
        self._weights = WeightOwners(model)
        self._takers = {
            id(given[0]): name for name, given in graph.inputs.items() if len(given) == 1
        }  # sites that run once, by the id of what they are given

    def width(self, producer: str) -> Width | None:
        """That of what one convolution gives; None if it can't be narrowed."""
        outputs = self._graph.outputs[producer]
        if len(outputs) != 1 or not self._plain(producer):
            return None
        layout = data_format_of(self._sites[producer].layer)
        norms: list[str] = []
        tensor = outputs[0]
        while (operation := self._graph.only_consumer(tensor)) is not None:
            consumer = self._takers.get(id(tensor))
            if consumer is not None and consumer != producer:
                return self._between(producer, consumer, norms)
            if operation.name == "batch_norm":
                name = self._norm(operation, layout)
                if name is None:
                    return None
                norms.append(name)
                tensor = operation.result[0]
            elif operation.name in CHANNELWISE and len(operation.args) and operation.args[0] is tensor:
                result = operation.result
                tensor = result[0] if isinstance(result, (tuple, list)) else result
            else:
                return None
        return None

    def _between(self, producer: str, consumer: str, norms: list[str]) -> Width | None:
        conv: Any = self._sites[consumer].layer
        channels = int(self._sites[producer].layer._out_channels)
        if not self._plain(consumer) or conv._in_channels != channels:
            return None
        return Width(producer, consumer, channels, tuple(norms))

    def _plain(self, name: str) -> bool:
        site = self._sites[name]
        return type(site.layer) is nn.Conv2D and not site.obstacle and site.layer._groups == 1

    def _norm(self, operation: Operation, layout: str) -> str | None:
        """The name of a BatchNorm that nobody else uses; None for any other."""
        if not uses_statistics(operation, layout):
            return None
        norm = operation.layers[-1]
        names = self._names.get(id(norm), [])
        alone = self._graph.norm_calls(norm) == 1 and len(names) == 1
        return names[0] if alone and not has_hooks(norm) and not self._weights.is_tied(norm) else None
