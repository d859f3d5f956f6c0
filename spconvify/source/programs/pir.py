"""Read a program in Paddle 3's representation (PIR, a .json) by the standard library alone."""

from __future__ import annotations

import json
from typing import Any

from spconvify.errors import CheckpointError
from spconvify.source.programs.program import MOST_PARTS, Feed, Fetch, Node, Program, unsupported

_DTYPES = {
    "0.t_f32": "float32", "0.t_f64": "float64", "0.t_f16": "float16", "0.t_bf16": "bfloat16",
    "0.t_i32": "int32", "0.t_i64": "int64", "0.t_bool": "bool", "0.t_ui8": "uint8", "0.t_i8": "int8",
    "0.t_i16": "int16",
}  # fmt: skip
_MOST_DIGITS, _LONGEST_LIST = 20, 1 << 12
_FEEDS = ("1.data", "1.feed")


def read_pir(data: bytes) -> Program:
    """The program that a file's bytes describe.

    Raises:
        CheckpointError: if it is no such program, or one with control flow.
        Exception: of any kind, for a damaged one.
    """
    if data.count(b"[") + data.count(b"{") > MOST_PARTS:
        raise CheckpointError(f"it has more than {MOST_PARTS} parts, which no program has")
    file = json.loads(data, parse_int=_number)
    if not isinstance(file, dict) or file.get("base_code", {}).get("magic") != "pir":
        raise CheckpointError("it is a .json file, but no exported program")
    (region,) = file["program"]["regions"]
    (block,) = region["blocks"]
    return _Reader().read(block["ops"])


def _number(text: str) -> int:
    """Python takes hours for one of a million digits, in versions that don't refuse it."""
    if len(text) > _MOST_DIGITS:
        raise CheckpointError(f"it has a number of {len(text)} digits")
    return int(text)


class _Reader:
    def __init__(self) -> None:
        self.program = Program()
        self._same: dict[str, Any] = {}  # id -> the id, or list of ids, that it stands for
        self._by_output: dict[str, Node] = {}
        self._fetches: list[tuple[int, Fetch]] = []

    def read(self, operators: list[dict[str, Any]]) -> Program:
        for operator in operators:
            name = operator["#"]
            if name == "p":
                self._parameter(operator)
            elif "regions" in operator:
                raise unsupported(f"control flow ({name.partition('.')[2]})")
            else:
                self._operator(name, operator)
        self.program.fetches = [fetch for _, fetch in sorted(self._fetches, key=lambda f: f[0])]
        return self.program

    def _parameter(self, operator: dict[str, Any]) -> None:
        id_ = str(operator["O"]["%"])
        is_persistable, *_ = operator["OA"]
        if not is_persistable:  # it isn't in the .pdiparams
            self.program.unsaved[id_] = operator["A"][3]
        else:
            self.program.parameters[id_] = operator["A"][3]
            self._note_shape(id_, operator["O"].get("TT"))

    def _operator(self, name: str, operator: dict[str, Any]) -> None:
        attrs = {item["N"]: _value(item["AT"]) for item in operator["A"]}
        inputs = [self._id(item) for item in operator["I"]]
        outputs = [str(item["%"]) for item in operator["O"]]
        if name in _FEEDS:
            kind = operator["O"][0]["TT"]
            shape = tuple(int(size) for size in _shape(kind) or ())
            self.program.feeds.append(Feed(attrs["name"], outputs[0], shape, _DTYPES[kind["D"][0]["#"]]))
            self._note_shape(outputs[0], kind)
        elif name == "1.fetch":
            self._fetches.append((attrs["col"], Fetch(attrs["name"], inputs[0])))
        elif name == "0.combine":
            if any(isinstance(item, list) for item in inputs):  # each may double what there is
                raise CheckpointError("it is damaged: it has lists of lists of tensors")
            self._same[outputs[0]] = inputs
        elif name in ("0.split", "0.slice"):
            indices = range(len(outputs)) if name == "0.split" else [attrs["index"]]
            for index, output in zip(indices, outputs):
                self._same[output] = self._element(inputs[0], index)
        elif name.startswith("1."):
            self._node(Node(name[2:].rstrip("_"), inputs, attrs, outputs), operator["O"])
        else:
            raise unsupported(f"the operator {name}")

    def _node(self, node: Node, results: list[dict[str, Any]]) -> None:
        self.program.nodes.append(node)
        for result in results:
            self._note_shape(str(result["%"]), result.get("TT"))
        self._by_output[node.outputs[0]] = node
        if node.op == "batch_norm":  # the statistics that it gives are those that it was given
            self._same.update(zip(node.outputs[1:3], node.inputs[1:3]))

    def _element(self, source: Any, index: int) -> Any:
        """The id of one element of a list."""
        if isinstance(source, list):
            return source[index]
        if not 0 <= index < _LONGEST_LIST:
            raise CheckpointError(f"it takes element {index} of a list, which has none")
        parts = self._by_output[source].parts
        for earlier in range(index + 1):
            parts.setdefault(earlier, f"{source}[{earlier}]")
        return parts[index]

    def _id(self, item: dict[str, Any]) -> Any:
        id_ = str(item["%"])
        return None if id_ == "0" else self._same.get(id_, id_)

    def _note_shape(self, id_: str, kind: Any) -> None:
        shape = _shape(kind)
        if shape is not None:
            self.program.shapes[id_] = shape


def _shape(kind: Any) -> list[int] | None:
    return list(kind["D"][1]) if kind and kind.get("#") == "0.t_dtensor" else None


def _value(attribute: dict[str, Any]) -> Any:
    if "VD" in attribute:  # infinity and NaN, as words: JSON has no numbers for them
        return float(attribute["VD"])
    value: Any = attribute.get("D")
    return [_value(item) for item in value] if attribute["#"].endswith("a_array") else value
