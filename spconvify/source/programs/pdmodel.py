"""Read a program in Paddle 2's representation (.pdmodel): protocol buffers, then Paddle 3's words."""

from __future__ import annotations

from typing import Any

import numpy as np

from spconvify.errors import CheckpointError
from spconvify.source.programs.older_constants import SCALAR, filled, number_of
from spconvify.source.programs.older_operators import BINARY, OPERATORS, OlderOperator
from spconvify.source.programs.program import Allowance, Feed, Fetch, Node, Program, unsupported
from spconvify.source.programs.tensors import DTYPES
from spconvify.source.programs.wire import Schema, decode, fields

_TENSOR: Schema = {1: ("data_type", int), 2: ("dims", [int])}
_TYPE: Schema = {1: ("type", int), 3: ("dense", {1: ("tensor", _TENSOR)})}
_VARIABLE: Schema = {1: ("name", str), 2: ("type", _TYPE), 3: ("persistable", bool)}
_SLOT: Schema = {1: ("parameter", str), 2: ("arguments", [str])}
_ATTRIBUTE: Schema = {
    1: ("name", str), 2: ("type", int), 3: ("i", int), 4: ("f", float), 5: ("s", str),
    6: ("ints", [int]), 7: ("floats", [float]), 8: ("strings", [str]), 10: ("b", bool),
    11: ("bools", [bool]), 12: ("block", int), 13: ("l", int), 15: ("longs", [int]),
    16: ("float64s", ["double"]),
    17: ("var", str), 18: ("vars", [str]), 19: ("float64", "double"), 20: ("scalar", SCALAR),
    21: ("scalars", [SCALAR]),
}  # fmt: skip
# By an attribute's type, the field that holds its value.
_FIELD = (
    "i f s ints floats strings b bools block l blocks longs float64s var vars float64 scalar scalars"
).split()
_OPERATOR: Schema = {
    1: ("inputs", [_SLOT]), 2: ("outputs", [_SLOT]), 3: ("type", str), 4: ("attrs", [_ATTRIBUTE]),
}  # fmt: skip
_BLOCK: Schema = {3: ("vars", [_VARIABLE]), 4: ("ops", [_OPERATOR])}
_BLOCKS = 1  # the field of a program that holds them; others are control flow
_CONTROL_FLOW = ("conditional_block", "while", "select_input", "select_output")


def read_pdmodel(data: bytes) -> Program:
    """The program that a file's bytes describe.

    Raises:
        CheckpointError: if it is no such program, or has what can't be said in Paddle 3's words.
        Exception: of any kind, for a damaged one.
    """
    blocks = [value for number, wire, value in fields(data) if number == _BLOCKS and wire == 2]
    block = decode(blocks[0], _BLOCK) if blocks else {"ops": []}
    if not block["ops"]:
        raise CheckpointError("it is no exported program, or an empty one")
    operators = [_Operator(message) for message in block["ops"]]
    flow = next((operator.type for operator in operators if operator.type in _CONTROL_FLOW), None)
    if flow or len(blocks) > 1:
        raise unsupported(f"control flow ({flow or 'several blocks'})")
    return _Reader(block["vars"]).read(operators)


class _Operator:
    """One of Paddle 2's operators."""

    def __init__(self, message: dict[str, Any]):
        self.type = message["type"]
        self.slots = {slot["parameter"]: slot["arguments"] for slot in message["inputs"]}
        self.results = {slot["parameter"]: slot["arguments"] for slot in message["outputs"]}
        self.attrs = {item["name"]: _value(item) for item in message["attrs"]}


def _value(attribute: dict[str, Any]) -> Any:
    name = _FIELD[attribute.get("type", 0)]
    value = attribute.get(name)
    if name == "scalars":
        return [number_of(scalar) for scalar in value or ()]
    return number_of(value) if name == "scalar" and value else value


class _Reader:
    def __init__(self, variables: list[dict[str, Any]]):
        self.program = Program()
        self._variables = {
            item["name"]: item["type"].get("dense", {}).get("tensor") for item in variables
        }
        self._parameters = {
            item["name"]
            for item in variables
            if item.get("persistable") and item["name"] not in ("feed", "fetch")
        }
        self._ids: dict[str, str] = {}  # of the present values: a name may be written twice
        self._count, self._allowance = 0, Allowance()

    def read(self, operators: list[_Operator]) -> Program:
        missing = sorted({o.type for o in operators if not self._knows(o)})
        if missing:
            raise unsupported(f"the operator{'s' * (len(missing) > 1)} {', '.join(missing)}")
        feeds: list[tuple[int, Feed]] = []
        fetches: list[tuple[int, Fetch]] = []
        for operator in operators:
            if operator.type == "feed":
                feeds.append((operator.attrs["col"], self._feed(operator.results["Out"][0])))
            elif operator.type == "fetch":
                (name,) = operator.slots["X"]
                fetches.append((operator.attrs["col"], Fetch(name, self._use(name))))
            elif operator.type in ("fill_constant", "assign_value"):
                self._constant(
                    filled(operator.type, operator.attrs, self._allowance),
                    self._define(operator.results["Out"][0]),
                )
            elif operator.type in BINARY:
                self._binary(operator)
            else:
                self._usual(operator, OPERATORS[operator.type])
        self.program.feeds = [feed for _, feed in sorted(feeds, key=lambda f: f[0])]
        self.program.fetches = [fetch for _, fetch in sorted(fetches, key=lambda f: f[0])]
        return self.program

    def _knows(self, operator: _Operator) -> bool:
        if operator.type == "fill_constant":
            return not any(
                operator.slots.get(s) for s in ("ValueTensor", "ShapeTensor", "ShapeTensorList")
            )
        return operator.type in ("feed", "fetch", "assign_value", *BINARY) or operator.type in OPERATORS

    # -- values
    def _fresh(self) -> str:
        self._count += 1
        return f"v{self._count}"

    def _use(self, name: str) -> str:
        """The id of a variable's present value."""
        if name not in self._ids:
            id_ = self._ids[name] = self._fresh()
            if name in self._parameters:
                self.program.parameters[id_] = name
            if self._variables.get(name):
                self.program.shapes[id_] = list(self._variables[name]["dims"])
        return self._ids[name]

    def _define(self, name: str) -> str:
        self._ids.pop(name, None)
        return self._use(name)

    def _constant(self, value: np.ndarray, id_: str | None = None) -> str:
        id_ = id_ or self._fresh()
        self.program.nodes.append(Node("constant", [], {"value": value}, [id_]))
        return id_

    # -- operators
    def _feed(self, name: str) -> Feed:
        tensor = self._variables[name]
        dtype = DTYPES[tensor["data_type"]]
        return Feed(name, self._define(name), tuple(tensor["dims"]), dtype)

    def _binary(self, operator: _Operator) -> None:
        """With `axis`, y's axes stand under those of x from that one on."""
        shapes = self.program.shapes
        x, y = self._use(operator.slots["X"][0]), self._use(operator.slots["Y"][0])
        axis, rank, size = operator.attrs["axis"], len(shapes[x]), len(shapes[y])
        if axis != -1 and axis + size != rank:
            shape, source, y = [*shapes[y], *[1] * (rank - axis - size)], y, self._fresh()
            self.program.nodes.append(
                Node("reshape", [source, self._constant(np.asarray(shape))], {}, [y])
            )
            shapes[y] = shape
        output = self._define(operator.results["Out"][0])
        self.program.nodes.append(Node(BINARY[operator.type], [x, y], {}, [output]))

    def _usual(self, old: _Operator, new: OlderOperator) -> None:
        inputs = [self._input(old, places) for places in new.inputs]
        attrs = {name: old.attrs[older] for name, older in new.attrs if older in old.attrs}
        node = Node(new.name, inputs, attrs, [])
        for choice in new.outputs:
            self._output(node, old, choice)
        if node.op == "split" and attrs["num"]:
            node.op, node.inputs = "split_with_num", [inputs[0], inputs[2]]
        if attrs.get("reduce_all"):
            attrs["axis"] = []
            node.inputs = inputs[:1] + (
                [self._constant(np.zeros(0, "int64"))] if len(inputs) > 1 else []
            )
        if "dtype" in attrs:  # -1 is the usual one
            attrs["dtype"] = None if attrs["dtype"] == -1 else DTYPES[attrs["dtype"]]
        self.program.nodes.append(node)

    def _output(self, node: Node, old: _Operator, choice: str) -> None:
        slot = next((s for s in choice.split("/") if s.rstrip("*") in old.results), choice)
        results = old.results.get(slot.rstrip("*"), [])
        if slot.endswith("*"):
            node.parts = {index: self._define(name) for index, name in enumerate(results)}
            node.outputs.append(self._fresh())
        else:
            node.outputs.append(self._define(results[0]) if results else self._fresh())

    def _input(self, old: _Operator, places: str) -> Any:
        for place in places.split("/"):
            if place.startswith("#"):
                return self._constant(np.asarray(old.attrs[place[1:]]))
            arguments = old.slots.get(place.rstrip("*"))
            if arguments:
                return [self._use(a) for a in arguments] if "*" in place else self._use(arguments[0])
        return None
