"""Where a network holds its layers, and a way back from everything that was put there."""

from __future__ import annotations

from paddle import nn

from spconvify.network.edges import Edge, replaceable, walk


class Places:
    """The places of a network, registered or not, in which another layer can be put."""

    def __init__(self, model: nn.Layer):
        self.root = model  # what the network is now: itself, or what took its whole place
        self._before = model
        self._edges: dict[int, list[Edge]] = {}
        for edge in replaceable(model):
            self._edges.setdefault(id(edge.layer), []).append(edge)
        self._changed: list[Edge] = []
        # By the id of what was put somewhere: the layer at the beginning, and itself to stay alive.
        self._pairs: dict[int, tuple[nn.Layer, nn.Layer]] = {}

    def put(self, old: nn.Layer, new: nn.Layer) -> None:
        """Put `new` wherever `old` was at the beginning, or was put since."""
        edges = self._edges.get(id(old), [])
        for edge in edges:
            self._changed.append(edge)
            edge.put(new)
        self._edges[id(new)] = edges
        first, _ = self._pairs.get(id(old), (old, old))
        self._pairs[id(new)] = (first, new)
        if old is self.root:
            self.root = new

    @property
    def pairs(self) -> list[tuple[nn.Layer, nn.Layer]]:
        """Every layer of the beginning that is gone, with what stands in its place now."""
        return list({id(first): (first, new) for first, new in self._pairs.values()}.values())

    def layers(self) -> dict[str, nn.Layer]:
        """Every layer that the network has now, by its structured name; not those in replacements."""
        return {edge.name: edge.layer for edge in walk(self.root)}

    def undo(self) -> None:
        """Put everything back."""
        while self._changed:
            edge = self._changed.pop()
            edge.put(edge.layer)
        self.root = self._before
