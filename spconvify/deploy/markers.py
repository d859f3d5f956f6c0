"""Find layers that a network reaches past its sub-layers: replacing those would change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
from paddle import nn

from spconvify.network.edges import replaceable
from spconvify.network.inputs import Sample, forward
from spconvify.network.operations import following
from spconvify.network.own_attributes import carry_attributes
from spconvify.network.untouched import untouched


class _Marker(nn.Layer):
    """Stands in a layer's place, calls it, and notes what else is asked of it."""

    def __init__(self, layer: nn.Layer):
        super().__init__()
        self.__dict__["layer"] = layer  # not as a sub-layer: it may be its own parent's
        self.calls, self.read = 0, False
        self.training = layer.training
        carry_attributes(layer, self)  # what takes the layer's place has them too

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self.layer(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            self.__dict__["read"] = True
            return getattr(self.layer, name)


def held_elsewhere(
    model: nn.Layer, layers: Sequence[nn.Layer], image: Sample | paddle.Tensor
) -> set[int]:
    """Ids of those `layers` that `model` calls not by its sub-layers, or whose attributes it reads."""
    calls: dict[int, int] = {}

    def count(layer: nn.Layer, given: Any, output: Any) -> None:
        calls[id(layer)] = calls.get(id(layer), 0) + 1

    markers = {id(layer): _Marker(layer) for layer in layers}
    edges = [edge for edge in replaceable(model) if id(edge.layer) in markers]
    with untouched(model), following(layers, count):  # which also takes the markers out again
        for edge in edges:
            edge.put(markers[id(edge.layer)])
        forward(model, image)
    root = {id(model)}
    return {
        key
        for key, marker in markers.items()
        if key not in root and (marker.read or marker.calls != calls.get(key, 0))
    }
