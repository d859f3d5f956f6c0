"""What of a network can be folded, found by running it: a layer, and the BatchNorm behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import paddle
from paddle import nn

from spconvify.deploy.folding import foldable, forms_of
from spconvify.deploy.markers import held_elsewhere
from spconvify.network.graph import Graph, data_format_of, record, uses_statistics
from spconvify.network.inputs import Sample
from spconvify.operators.forms import Forms
from spconvify.surgery.sites import WeightOwners, has_hooks


@dataclass(frozen=True, eq=False)
class Fusible:
    """A convolution, or a layer that has forms, and the BatchNorm that alone takes its output.

    Without a BatchNorm there are only the layer's own ones to fold.
    """

    name: str
    layer: nn.Layer
    norm: nn.Layer | None
    input_shape: tuple[int, ...]  # of its first call

    @cached_property
    def forms(self) -> Forms | None:
        """How the layer is laid out; None for a convolution."""
        return forms_of(self.layer)

    @cached_property
    def folded(self) -> Any:
        """The layer with every BatchNorm folded in, as its forms take it; for a layer that has some."""
        assert self.forms is not None
        return self.forms.fold(self.layer, self.norm)


def find_fusible(model: nn.Layer, *images: Sample | paddle.Tensor) -> list[Fusible]:
    """What can be folded, found from a run of `model` on each of the images.

    A BatchNorm is folded only if it is behind its convolution in every run: the network may take another
    way for other values or sizes. Called layers that have forms always can be folded.
    """
    named = foldable(model)
    graphs = [record(model, named, image) for image in images]
    shapes = {
        name: tuple(given[0].shape) for graph in graphs[::-1] for name, given in graph.inputs.items()
    }
    norms = {name: _norm_in_all(name, named[name], graphs) for name in named if name in shapes}
    involved = [named[name] for name in norms] + [norm for norm in norms.values() if norm]
    unreachable = {key for image in images for key in held_elsewhere(model, involved, image)}
    weights, folds = WeightOwners(model), []
    for name, norm in norms.items():
        layer = named[name]
        has_forms = forms_of(layer) is not None
        is_tied = weights.is_tied(layer) and not has_forms  # a layer in a form gets weights of its own
        if norm is not None and (id(norm) in unreachable or has_hooks(norm) or is_tied):
            norm = None
        if isinstance(layer, nn.Conv2D) and any(is_read_elsewhere(layer, graph) for graph in graphs):
            norm = None
        fusible = has_forms and id(layer) not in unreachable
        if fusible or (isinstance(layer, nn.Conv2D) and norm is not None):
            folds.append(Fusible(name, layer, norm, shapes[name]))
    return folds


def _norm_in_all(name: str, layer: nn.Layer, graphs: Sequence[Graph]) -> nn.Layer | None:
    """The BatchNorm that is behind the layer in every run, and runs nowhere else."""
    found = [
        _norm_behind(layer, graph.outputs[name], graph) for graph in graphs if name in graph.outputs
    ]
    norm = found[0]
    if norm is None or any(other is not norm for other in found):
        return None
    elsewhere = any(graph.norm_calls(norm) for graph in graphs if name not in graph.outputs)
    return None if elsewhere else norm


def is_read_elsewhere(layer: nn.Layer, graph: Graph) -> bool:
    """Whether anything but the layer itself computes with its weights, which folding would change."""
    own = layer.parameters(include_sublayers=False)
    users = [operation for weight in own for operation in graph.consumers.get(id(weight), [])]
    return any(all(inside is not layer for inside in operation.layers) for operation in users)


def _norm_behind(layer: nn.Layer, outputs: Sequence[Any], graph: Graph) -> nn.Layer | None:
    """The BatchNorm that takes every one of `outputs`, and nothing else."""
    consumers = [graph.only_consumer(output) for output in outputs]
    form = data_format_of(layer)
    if not all(operation and uses_statistics(operation, form) for operation in consumers):
        return None
    norms = {id(operation.layers[-1]): operation.layers[-1] for operation in consumers if operation}
    if len(norms) != 1:
        return None
    (norm,) = norms.values()
    return norm if graph.norm_calls(norm) == len(outputs) else None
