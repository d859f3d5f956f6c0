"""The places of a network that hold a layer: its sub-layers, and plain lists and dictionaries."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

from paddle import nn

from spconvify.network.replacement import Replacement
from spconvify.network.static_functions import forward_was_replaced

_LAYER_INTERNALS = frozenset(nn.Layer().__dict__)
_DEPTH = 4  # of containers in containers


@dataclass(frozen=True, eq=False)
class Edge:
    """A place in `parent` that holds `layer`: `container[key]`; the root has no parent."""

    name: str
    parent: nn.Layer | None
    key: Any
    layer: nn.Layer
    container: Any = None  # None where nothing can be put in the layer's place

    def put(self, layer: nn.Layer) -> None:
        """Let the place hold another layer."""
        self.container[self.key] = layer


def walk(model: nn.Layer) -> Iterator[Edge]:
    """Every registered place of every layer, in registration order; a shared layer comes repeatedly.

    Each layer is entered once, so shared containers and cycles end. A replacement isn't entered.
    """
    entered: set[int] = set()

    def visit(edge: Edge) -> Iterator[Edge]:
        yield edge
        if id(edge.layer) in entered or isinstance(edge.layer, Replacement):
            return
        entered.add(id(edge.layer))
        children = edge.layer._sub_layers
        for key, child in children.items():
            if child is not None:
                name = f"{edge.name}.{key}" if edge.name else key
                yield from visit(Edge(name, edge.layer, key, child, children))

    yield from visit(Edge("", None, "", model))


def held_beside(model: nn.Layer) -> Iterator[Edge]:
    """Every place past the registration that holds a layer, called ``Class.attribute``.

    Also those inside a layer that is held in that way alone, as a ``LayerList`` in a dictionary. Entries
    of lists and dictionaries can be replaced; those of tuples, sets and partial functions, and what a
    bound method belongs to, can't.
    """
    waiting = model.sublayers(include_self=True)
    registered = {id(layer) for layer in waiting}
    seen = set(registered)
    while waiting:
        parent = waiting.pop(0)
        if isinstance(parent, Replacement):
            continue
        for edge in _beside(parent):
            yield edge
            if id(edge.layer) in seen or isinstance(edge.layer, Replacement):
                continue
            for inner in walk(edge.layer):
                if inner.parent is not None and id(inner.parent) not in registered:
                    yield Edge(edge.name, inner.parent, inner.key, inner.layer, inner.container)
                if id(inner.layer) not in seen:
                    seen.add(id(inner.layer))
                    waiting.append(inner.layer)


def _beside(parent: nn.Layer) -> Iterator[Edge]:
    """Those of the attributes of one layer."""
    for attribute, value in list(vars(parent).items()):
        traced = attribute == "forward" and not forward_was_replaced(parent)
        if attribute not in _LAYER_INTERNALS and not traced:
            name = f"{type(parent).__name__}.{attribute}"
            for layer, container, key in _layers_in(value, vars(parent), attribute, _DEPTH):
                yield Edge(name, parent, key, layer, container)


def replaceable(model: nn.Layer) -> list[Edge]:
    """Every place, registered or not, in which another layer can be put; the root has none."""
    places = [edge for edge in walk(model) if edge.parent is not None]
    return places + [edge for edge in held_beside(model) if edge.container is not None]


def _layers_in(value: Any, container: Any, key: Any, depth: int) -> Iterator[tuple[nn.Layer, Any, Any]]:
    """(layer, container, key) of `value` itself, or of what it contains."""
    if isinstance(value, nn.Layer):
        yield value, container, key
    elif isinstance(value, MethodType):
        yield from _layers_in(value.__self__, None, None, 0)
    elif depth and isinstance(value, partial):
        for item in (value.func, *value.args, *value.keywords.values()):
            yield from _layers_in(item, None, None, depth - 1)
    elif depth and isinstance(value, (dict, list, deque)):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for inner, item in list(items):
            yield from _layers_in(item, value, inner, depth - 1)
    elif depth and isinstance(value, (tuple, set, frozenset)):
        for item in value:
            yield from _layers_in(item, None, None, depth - 1)
