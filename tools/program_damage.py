"""Damage to exported programs that knows their formats: JSON, protocol buffers, and numbers in files."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Callable

import numpy as np

from spconvify.source.programs.wire import encode, fields

LONG_NUMBER, DEEP = "@@long number@@", "@@deep@@"  # what json.dumps can't write, or not in a moment
NAMES = (
    "", ".", "..", "a..b", "__class__", "forward", "weight", "conv.weight", "feeds", "_sub_layers",
    "a/b", "ü\u202e\x1b[31m\n", "\x00", "x" * 100_000, ".".join("a" * 5000), "training", "0", " ",
    "steps", "float32", "int64", "bfloat16", "complex64", "SAME", "NHWC", "nan", "inf",
)  # fmt: skip
NUMBERS = (
    0, 1, 2, 3, 7, -1, -2, 255, 65537, 2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, -(2**63), 10**12,
    10**30, 0.0, -0.5, 1e-45, 1e38, 1e308, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
OTHERS = (
    None, True, False, [], {}, [[]], [None], [0], [-1, -1], [10**12] * 4, [2**31, 2**31], [1] * 1000,
    {"#": "0.t_f32"}, {"VD": "NaN"}, {"VD": "1" * 5000}, {"%": 1}, "0.t_f32", LONG_NUMBER, DEEP,
)  # fmt: skip
# Where a .pdmodel has messages: field numbers from the program on.
_TENSOR: dict[int, Any] = {}
_MESSAGES = {1: {3: {2: {3: {1: _TENSOR}}}, 4: {1: {}, 2: {}, 4: {}}}}

Change = Callable[[bytes, bytes], bytes]


def json_changes(random: np.random.Generator) -> dict[str, Change]:
    """Name -> function that damages a .json; one that isn't JSON is left as it is."""

    def pick(values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    def value(ops: list[Any], file: Any) -> None:
        holder, key = pick(list(_places(pick([file, *[pick(ops) for _ in range(8)]]))))
        holder[key] = pick([pick(NUMBERS), pick(NAMES), pick(OTHERS)])

    def number(ops: list[Any], _: Any) -> None:
        holder, key = pick([p for p in _places(ops) if _is_number(p[0][p[1]])])
        holder[key] = pick(NUMBERS)

    def attribute(ops: list[Any], _: Any) -> None:
        """Of a known name, a value of the kind that it has."""
        attrs = [item for op in ops if op["#"] != "p" for item in op["A"]]
        holder, key = pick([p for p in _places(pick(attrs)["AT"]) if p[1] == "D"] or [({}, 0)])
        holder[key] = pick(NAMES if isinstance(holder.get(key), str) else NUMBERS)

    def shape(ops: list[Any], _: Any) -> None:
        outputs = [o for op in ops for o in (op["O"] if isinstance(op["O"], list) else [op["O"]])]
        sizes = pick([o["TT"]["D"] for o in outputs if "dtensor" in o.get("TT", {}).get("#", "")])
        sizes[1] = pick([[pick(NUMBERS) for _ in range(random.integers(6))], pick(OTHERS)])

    def lost(ops: list[Any], file: Any) -> None:
        holder, key = pick(list(_places(pick([file, pick(ops)]))))
        del holder[key]

    def ids(ops: list[Any], _: Any) -> None:
        """Two are exchanged: values come from elsewhere, or from behind, or from themselves."""
        places = [p for p in _places(ops) if p[1] == "%"]
        (one, key), (other, _key) = pick(places), pick(places)
        one[key], other[key] = other[key], pick([one[key], other[key], 0, -1])

    def operator(ops: list[Any], _: Any) -> None:
        op = pick(ops)
        op["#"] = pick([pick(ops)["#"], pick(ops)["#"], "1." + pick(NAMES), "0.combine", "0.slice", "p"])

    def order(ops: list[Any], _: Any) -> None:
        one, other = random.integers(0, len(ops), 2)
        what = pick(["exchanged", "lost", "doubled", "thousands"])
        if what == "exchanged":
            ops[one], ops[other] = ops[other], ops[one]
        elif what == "lost":
            del ops[one]
        else:
            ops[other:other] = [ops[one]] * (1 if what == "doubled" else 3000)

    def on(change: Callable[[list[Any], Any], None]) -> Change:
        def changed(content: bytes, _: bytes) -> bytes:
            try:
                file = json.loads(content)
                for _again in range(pick([1, 1, 1, 3])):
                    change(file["program"]["regions"][0]["blocks"][0]["ops"], file)
            except Exception:  # what one change has left isn't a program any more, so it is enough
                pass
            return _dumped(file)

        return changed

    return {c.__name__: on(c) for c in (value, number, attribute, shape, lost, ids, operator, order)}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(what holds it, its key or index) of everything in there."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(pairs) if isinstance(value, (dict, list)) else ():
        yield value, key
        yield from _places(item)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _dumped(file: Any) -> bytes:
    text = json.dumps(file)
    long, deep = "9" * 100_000, "[" * 100_000 + "]" * 100_000
    return text.replace(f'"{LONG_NUMBER}"', long).replace(f'"{DEEP}"', deep).encode()


def protobuf_changes(random: np.random.Generator) -> dict[str, Change]:
    """Name -> function that damages one field of a .pdmodel, whose lengths are right again."""

    def pick(values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    def value(part: Any, _other: Any) -> list[Any]:
        number, wire, _ = part
        if wire == 0:
            return [(number, 0, pick([n for n in NUMBERS if isinstance(n, int)]))]
        if wire == 2:
            return [(number, 2, pick([pick(NAMES).encode(), random.bytes(random.integers(40))]))]
        return [(number, wire, struct.pack("<f" if wire == 5 else "<d", pick(_floats(wire))))]

    def numbered(part: Any, _: Any) -> list[Any]:
        return [(int(random.integers(0, 24)), *part[1:])]

    def lost(_: Any, _other: Any) -> list[Any]:
        return []

    def doubled(part: Any, _: Any) -> list[Any]:
        return [part] * pick([2, 2, 3000])

    def exchanged(_: Any, other: Any) -> list[Any]:
        return [other]

    def text(part: Any, other: Any) -> list[Any]:
        return [(part[0], 2, pick([other[2] if other[1] == 2 else b"", pick(NAMES).encode()]))]

    def nested(part: Any, _: Any) -> list[Any]:
        data = b""
        for _again in range(200):
            data = encode([(part[0], 2, data)])
        return [(part[0], 2, data)]

    def damage(data: bytes, places: Any, change: Any) -> bytes:
        parts = list(fields(data))
        if not parts:
            return data
        at = int(random.integers(len(parts)))
        number, wire, inner = parts[at]
        inside = places.get(number) if isinstance(places, dict) and wire == 2 else None
        if inside is not None and random.random() < 0.95:
            parts[at] = (number, wire, damage(inner, inside, change))
        else:
            parts[at : at + 1] = change(parts[at], pick(parts))
        return encode(parts)

    def on(change: Any) -> Change:
        def changed(content: bytes, _: bytes) -> bytes:
            for _again in range(pick([1, 1, 3])):
                try:
                    content = damage(content, _MESSAGES, change)
                except Exception:  # an earlier change has left no message here
                    break
            return content

        return changed

    changes = (value, value, numbered, lost, doubled, exchanged, text, nested)
    return {f"field {change.__name__}": on(change) for change in changes}


def _floats(wire: int) -> list[float]:
    return [n for n in NUMBERS if isinstance(n, float) and (wire != 5 or not 1e38 < n < float("inf"))]


def number_changes(random: np.random.Generator) -> dict[str, Change]:
    """For files of numbers: some bytes become an extreme one, and pieces change places."""

    def extreme(content: bytes, _: bytes) -> bytes:
        kind = "<bhiq"[1:][int(random.integers(4))]
        size = struct.calcsize(kind)
        top = 1 << (8 * size - 1)
        new = [0, -1, 1, top - 1, -top][int(random.integers(5))]
        at = int(random.integers(0, max(1, min(len(content), 400))))
        return content[:at] + struct.pack("<" + kind, new) + content[at + size :]

    def moved(content: bytes, _: bytes) -> bytes:
        a, b, c = sorted(map(int, random.integers(0, len(content) + 1, 3)))
        return content[:a] + content[b:c] + content[a:b] + content[c:]

    return {"extreme": extreme, "moved": moved}
