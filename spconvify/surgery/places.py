"""Where a network holds its layers, and a way back from everything that was put there."""

from __future__ import annotations

from paddle import nn

from spconvify.network.edges import Edge, replaceable


class Places:
    """The places of a network, registered or not, in which another layer can be put."""

    def __init__(self, model: nn.Layer):
        self.root = model  # what the network is now: itself, or what took its whole place
        self._before = model
        self._edges: dict[int, list[Edge]] = {}
        for edge in replaceable(model):
            self._edges.setdefault(id(edge.layer), []).append(edge)
        self._changed: list[Edge] = []

    def put(self, old: nn.Layer, new: nn.Layer) -> None:
        """Put `new` wherever `old` was at the beginning."""
        for edge in self._edges.get(id(old), []):
            self._changed.append(edge)
            edge.put(new)
        if old is self._before:
            self.root = new

    def undo(self) -> None:
        """Put everything back."""
        while self._changed:
            edge = self._changed.pop()
            edge.put(edge.layer)
        self.root = self._before
