"""What an ONNX graph says about its maps: constants, shapes, parts of a split, maps cut alike."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union

import numpy as np

_UNARY = {
    "Clip",
    "Elu",
    "Exp",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "Relu",
    "Sigmoid",
    "Sqrt",
    "Tanh",
}
_UNARY |= {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"}
_BINARY = {"Add", "Div", "Mul", "Sub"}
Shapes = Union[Mapping[str, Sequence[int]], Sequence[Sequence[int]]]  # of inputs, by name or in order
_LARGE = 4096  # elements; no shape depends on the values of a constant as large as this


class OnnxGraph:
    """A readable ``onnx.ModelProto`` without its Identity nodes, which it loses by this."""

    def __init__(self, model: Any, usual: Shapes = ()):
        import onnx

        self.proto = model.graph
        _drop_identities(self.proto)
        to_array = onnx.numpy_helper.to_array
        self.constants = {tensor.name: to_array(tensor) for tensor in self.proto.initializer}
        for node in self.proto.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = to_array(node.attribute[0].t)
        self.shapes = _shapes(model, usual)
        self.split_maps: set[str] = set()
        self._sources: dict[str, tuple[str, int]] = {}
        for node in self.proto.node:
            if self.is_split(node):
                edges = self.edges(node)
                self.split_maps.add(edges[0][0])
                # A part that nobody reads may have no name.
                self._sources |= {name: edge for name, edge in zip(node.output, edges) if name}
        self._parents: dict[str, str] = {}
        for node in self.proto.node:
            if self.is_by_channel(node):
                first, *others = [*self.maps(node), node.output[0]]
                for other in others:
                    self._parents[self.kind(other)] = self.kind(first)
        self.makers: dict[str, list[Any]] = defaultdict(list)  # of each kind's maps
        for node in self.proto.node:
            for name in node.output:
                self.makers[self.kind(name)].append(node)

    def channels(self, name: str) -> int:
        """Of a map (N, C, H, W) its C, and 0 of other tensors or if it isn't known."""
        return self.shapes.get(name, (0, 0))[1]

    def size(self, name: str) -> int:
        """Elements of one image's map."""
        return math.prod(self.shapes.get(name, (0, 0))[1:])

    def kind(self, name: str) -> str:
        """One map that stands for all that are cut as `name` is: what lies between works by channel."""
        while (parent := self._parents.get(name, name)) != name:
            name = parent
        return name

    def maps(self, node: Any) -> list[str]:
        """The node's inputs that aren't constants."""
        return [name for name in node.input if name and name not in self.constants]

    def is_split(self, node: Any) -> bool:
        """Whether the node splits a map's channels at known places."""
        if node.op_type != "Split" or attributes(node).get("axis", 0) != 1:
            return False
        return (
            len(node.input) == 2 and node.input[1] in self.constants and self.channels(node.input[0]) > 0
        )

    def edges(self, split: Any) -> list[tuple[str, int]]:
        """Where a split's parts begin and the last one ends: the map, as in `place`, and the channel.

        A part of one map that is split again is that map's, too.
        """
        source, first = self.place(split.input[0])
        sizes = self.constants[split.input[1]]
        return [(source, int(edge)) for edge in first + np.cumsum([0, *sizes])]

    def place(self, name: str) -> tuple[str, int]:
        """The map that `name` was split from first, and its channel there, or `name` itself and 0."""
        return self._sources.get(name, (name, 0))

    def is_by_channel(self, node: Any) -> bool:
        """Whether each channel of the output depends on the same channel of the inputs alone."""
        maps = self.maps(node)
        numbers = {self.channels(name) for name in [*maps, *node.output]}
        if not maps or len(node.output) != 1 or len(numbers) != 1 or 0 in numbers:
            return False
        if node.op_type == "Conv":
            return attributes(node).get("group", 1) == numbers.pop() > 1 and len(maps) == 1
        if node.op_type in _BINARY:
            constants = [self.constants[name] for name in node.input if name in self.constants]
            return all(value.size == 1 or channel_axis(value) is not None for value in constants)
        return node.op_type in _UNARY


def is_plain(model: Any) -> bool:
    """Whether the file has all of its weights (under 2 GB), and no operator has a graph of its own."""
    external = any(tensor.data_location for tensor in model.graph.initializer)
    nested = any(
        found.HasField("g") or found.graphs for node in model.graph.node for found in node.attribute
    )
    return not external and not nested


def _drop_identities(graph: Any) -> None:
    names: dict[str, str] = {}
    outputs = {value.name for value in graph.output}
    kept = []
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = names.get(name, name)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            names[node.output[0]] = node.input[0]
        else:
            kept.append(copy_of(node))
    replace(graph.node, kept)


def copy_of(node: Any) -> Any:
    """The node once more, to be changed or to outlive its graph."""
    copied = type(node)()
    copied.CopyFrom(node)
    return copied


def replace(field: Any, messages: Iterable[Any]) -> None:
    """Let a graph's repeated field hold those messages in place of its own."""
    del field[:]
    field.extend(messages)


def _shapes(model: Any, usual: Shapes) -> dict[str, tuple[int, ...]]:
    """(N, C, H, W) of every map; 0 where a number isn't known. Large weights aren't copied."""
    import onnx

    proto, small, named = model.graph, [], []
    for tensor in proto.initializer:
        if math.prod(tensor.dims) < _LARGE:
            small.append(tensor)
        else:
            info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
            named.append(info)
    inputs = _with_sizes(proto.input, usual)
    outputs = [copy_of(value) for value in proto.output]
    for value in outputs if usual else ():  # what the converter has found out for any size
        value.type.tensor_type.ClearField("shape")
    graph = onnx.helper.make_graph(proto.node, "shapes", [*inputs, *named], outputs, small)
    bare = onnx.helper.make_model(graph, opset_imports=model.opset_import)
    inferred = onnx.shape_inference.infer_shapes(bare, data_prop=bool(usual)).graph
    shapes = {}
    for value in [*inferred.value_info, *inputs, *inferred.output]:
        dims = value.type.tensor_type.shape.dim
        if len(dims) == 4:
            shapes[value.name] = tuple(max(dim.dim_value, 0) for dim in dims)
    return shapes


def _with_sizes(inputs: Sequence[Any], usual: Shapes) -> list[Any]:
    """The graph's inputs, with their usual sizes where any may be given."""
    by_name = usual if isinstance(usual, Mapping) else {i.name: s for i, s in zip(inputs, usual)}
    found = [copy_of(value) for value in inputs]
    for value in found:
        for dim, size in zip(value.type.tensor_type.shape.dim, by_name.get(value.name, ())):
            if dim.dim_value <= 0:
                dim.dim_value = size
    return found


def attributes(node: Any) -> dict[str, Any]:
    """The node's attributes as Python values."""
    import onnx

    return {found.name: onnx.helper.get_attribute_value(found) for found in node.attribute}


def channel_axis(value: np.ndarray) -> int | None:
    """The axis of an operand that has one value for each channel: of (1, C, 1, 1) or (C, 1, 1)."""
    spread = [axis for axis, size in enumerate(value.shape) if size > 1]
    return spread[0] if spread == [value.ndim - 3] else None
