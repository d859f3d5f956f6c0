"""Splits of channels in an ONNX graph, moved up into the convolutions that make those channels.

ONNX Runtime keeps maps in blocks of 16 channels from convolution to convolution, but has no split in
that layout: it writes the whole map back as (N, C, H, W), copies the channels, and blocks them again.
Channels that leave a convolution of their own are never copied. The convolution's rows are divided,
and what lies between it and the split and works on every channel alone (an activation, a pooling, a
residual addition) runs part by part; whoever wants the whole map gets a concatenation, which stays in
blocks.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from spconvify.engines.onnx_graph import (
    OnnxGraph,
    Shapes,
    attributes,
    channel_axis,
    copy_of,
    is_plain,
    replace,
)

BLOCK = 16  # channels; ONNX Runtime leaves its layout for a convolution with other numbers of them
# One more operator takes ONNX Runtime about as long as to split a map of so many elements.
_OPERATOR = 20_000


def divide(model: Any, usual: Shapes = ()) -> int:
    """Rewrite the ``onnx.ModelProto`` in place, with the same outputs; how many of its splits are gone.

    What pays is told by the maps' sizes: where the inputs may have any, those for the `usual` shapes of
    the inputs, by name or in their order.

    A split stays where its channels come from something that can't be divided, in parts that are no
    multiple of `BLOCK`, or where more operators would cost more than the copies.
    """
    if not is_plain(model):
        return 0
    graph = OnnxGraph(model, usual)
    whole: set[str] = set()
    while True:
        cuts = _cuts(graph, whole)
        kinds = {graph.kind(name) for name in cuts} - whole
        refused = {kind for kind in kinds if not _pays(graph, kind, cuts, whole)}
        if not refused:
            return _Rewriting(graph, cuts, whole).run()
        whole |= refused


def _cuts(graph: OnnxGraph, whole: set[str]) -> dict[str, list[int]]:
    """Where parts begin and the last one ends, of every kind of maps; of those in `whole`, of each map.

    A group of a convolution's rows needs a group of its inputs, so a cut in its outputs may ask for one
    there, and so on upwards.
    """
    cuts: dict[str, set[int]] = defaultdict(set)
    wanted = [edge for node in graph.proto.node if graph.is_split(node) for edge in graph.edges(node)]
    while wanted:
        name, channel = wanted.pop()
        kind = graph.kind(name)
        if kind in whole:
            cuts[name] |= {0, channel, graph.channels(name)}  # for its split, if it has one
            continue
        if not cuts[kind]:
            cuts[kind] |= {0, graph.channels(name)}
            for node in graph.makers[kind]:
                if node.op_type == "Conv" and not graph.is_by_channel(node):
                    wanted += _group_cuts(graph, node)
        cuts[kind].add(channel)
    return {key: sorted(found) for key, found in cuts.items()}


def _group_cuts(graph: OnnxGraph, conv: Any) -> list[tuple[str, int]]:
    groups = attributes(conv).get("group", 1)
    if groups == 1:
        return []
    source, start = graph.place(conv.input[0])
    rows, width = graph.channels(conv.output[0]) // groups, graph.channels(conv.input[0]) // groups
    outputs = [(conv.output[0], group * rows) for group in range(groups)]
    return outputs + [(source, start + group * width) for group in range(groups + 1)]


def _pays(graph: OnnxGraph, kind: str, cuts: dict[str, list[int]], whole: set[str]) -> bool:
    """Whether maps of that kind can be made in parts, with less work than to split them."""
    edges, nodes = cuts[kind], graph.makers[kind]
    if any(width % BLOCK for width in np.diff(edges)):
        return False
    for node in nodes:
        if graph.is_by_channel(node):
            continue
        if node.op_type != "Conv" or any(name not in graph.constants for name in node.input[1:]):
            return False
        source, _ = graph.place(node.input[0])
        grouped = attributes(node).get("group", 1) > 1
        if grouped and graph.kind(source) in whole and source not in graph.split_maps:
            return False
    if any(graph.kind(value.name) == kind for value in graph.proto.input):
        return False
    copied = sum(graph.size(name) for name in graph.split_maps if graph.kind(name) == kind)
    more = (len(edges) - 2) * sum(node.op_type != "Add" for node in nodes)  # a Conv takes in an Add
    return copied > _OPERATOR * more


class _Rewriting:
    """The graph once more, with every map that is cut as its parts."""

    def __init__(self, graph: OnnxGraph, cuts: dict[str, list[int]], whole: set[str]):
        self.graph, self.cuts, self.whole = graph, cuts, whole
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.joined: dict[tuple[str, int, int], str] = {}

    def run(self) -> int:
        import onnx

        proto, gone, done = self.graph.proto, 0, set()
        for node in proto.node:
            if self.graph.is_split(node):
                source = self.graph.place(node.input[0])[0]
                divided = self._is_divided(source)
                gone += divided
                if not divided and source not in done:
                    done.add(source)
                    self._split(source)
            elif self._is_divided(node.output[0]):
                self._divide(node)
            else:
                self._keep(node)
        for value in proto.output:
            whole = self._whole(value.name)
            if whole != value.name:
                self._add("Identity", [whole], value.name)
        used = {name for node in self.nodes for name in node.input}
        old = [tensor for tensor in proto.initializer if tensor.name in used]
        new = [onnx.numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        replace(proto.node, self.nodes)
        replace(proto.initializer, [*old, *new])
        del proto.value_info[:]
        return gone

    def _is_divided(self, name: str) -> bool:
        kind = self.graph.kind(name)
        return kind in self.cuts and kind not in self.whole

    def _edges(self, name: str) -> list[int]:
        return self.cuts[self.graph.kind(name) if self._is_divided(name) else name]

    def _split(self, name: str) -> None:
        edges = self._edges(name)
        sizes = f"{name}.sizes"
        self.constants[sizes] = np.diff(edges).astype("int64")
        self._add("Split", [name, sizes], *(part_name(name, edge) for edge in edges[:-1]), axis=1)

    def _keep(self, node: Any) -> None:
        kept = copy_of(node)
        for index, name in enumerate(node.input):
            kept.input[index] = self._whole(name)
        self.nodes.append(kept)

    def _whole(self, name: str) -> str:
        source, start = self.graph.place(name)
        if source == name and not self._is_divided(name):
            return name
        return self._range(source, start, start + self.graph.channels(name))

    def _range(self, name: str, start: int, end: int) -> str:
        """The channels from `start` to before `end` of a map in parts, joined if they are several."""
        parts = [part_name(name, edge) for edge in self._edges(name) if start <= edge < end]
        if len(parts) == 1:
            return parts[0]
        key = name, start, end
        if key not in self.joined:
            self.joined[key] = f"{name}[{start}:{end}]"
            self._add("Concat", parts, self.joined[key], axis=1)
        return self.joined[key]

    def _divide(self, node: Any) -> None:
        edges = self._edges(node.output[0])
        by_channel = self.graph.is_by_channel(node)
        for start, end in zip(edges, edges[1:]):
            options = attributes(node)
            if node.op_type == "Conv":
                inputs = [part_name(node.input[0], start) if by_channel else self._inputs(node, start)]
                inputs += [self._rows(name, start, end) for name in node.input[1:]]
                options["group"] = end - start if by_channel else 1
            else:
                inputs = [self._operand(name, start, end) for name in node.input]
            self._add(node.op_type, inputs, part_name(node.output[0], start), **options)

    def _inputs(self, conv: Any, row: int) -> str:
        """What the row of the convolution sees: all of its input, or its group's channels."""
        name, groups = conv.input[0], attributes(conv).get("group", 1)
        if groups == 1:
            return self._whole(name)
        width = self.graph.channels(name) // groups
        source, start = self.graph.place(name)
        start += row * groups // self.graph.channels(conv.output[0]) * width
        return self._range(source, start, start + width)

    def _operand(self, name: str, start: int, end: int) -> str:
        value = self.graph.constants.get(name)
        if value is None:
            return part_name(name, start) if name else name
        return name if value.size == 1 else self._rows(name, start, end, channel_axis(value))

    def _rows(self, name: str, start: int, end: int, axis: int | None = 0) -> str:
        sliced = f"{name}[{start}:{end}]"
        if sliced not in self.constants:
            value = self.graph.constants[name]
            self.constants[sliced] = np.ascontiguousarray(value.take(range(start, end), axis))
        return sliced

    def _add(self, kind: str, inputs: list[str], *outputs: str, **options: Any) -> None:
        import onnx

        self.nodes.append(onnx.helper.make_node(kind, inputs, outputs, name=outputs[0], **options))


def part_name(name: str, start: int) -> str:
    """The part of a map that begins with that channel."""
    return f"{name}[{start}:]"
