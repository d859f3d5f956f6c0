"""Exported programs made by hand, in both formats, for what no exporter writes."""

import json
import struct

import numpy as np

from spconvify.source.programs.files import ProgramFiles
from spconvify.source.programs.tensors import DTYPES
from spconvify.source.programs.wire import encode

_CODES = {name: code for code, name in DTYPES.items()}
_PIR = {"float32": "0.t_f32", "int64": "0.t_i64", "bool": "0.t_bool", "bfloat16": "0.t_bf16"}


def pdiparams(state, codes=_CODES):
    """The bytes of a .pdiparams."""
    content = b""
    for name in sorted(state):
        array = state[name]
        dims = [(2, 0, size) for size in array.shape]
        described = encode([(1, 0, codes[str(array.dtype)]), *dims])
        content += struct.pack("<IQIi", 0, 0, 0, len(described)) + described + array.tobytes()
    return content


# -- Paddle 3
def kind(shape, dtype="float32"):
    return {"#": "0.t_dtensor", "D": [{"#": _PIR[dtype]}, shape, "NCHW", [], 0]}


def value(item):
    if isinstance(item, dict):
        return item
    if isinstance(item, (list, tuple)):
        return {"#": "0.a_array", "D": [value(each) for each in item]}
    names = {bool: "bool", int: "i64", float: "f32", str: "str"}
    return {"#": f"0.a_{names.get(type(item), 'str')}", "D": item}


def op(name, inputs=(), outputs=(), /, **attrs):
    """`outputs`: (id, shape), or an id of something that has none."""
    made = [{"%": o[0], "TT": kind(o[1])} if isinstance(o, tuple) else {"%": o} for o in outputs]
    return {
        "#": name if name[:2] in ("0.", "1.") else f"1.{name}",
        "A": [{"N": key, "AT": value(item)} for key, item in attrs.items()],
        "I": [{"%": id_} for id_ in inputs],
        "O": made,
    }


def feed(id_, shape=(1, 3, 8, 8), name="x", dtype="float32"):
    result = op("data", [], [(id_, list(shape))], name=name)
    result["O"][0]["TT"] = kind(list(shape), dtype)
    return result


def fetch(id_, name="y", col=0):
    return op("fetch", [id_], [1000 + col], name=name, col=col)


def parameter(id_, name, shape):
    return {"#": "p", "A": [0, 1, 1, name], "O": {"%": id_, "TT": kind(list(shape))}, "OA": [1, 0, 1]}


def full(id_, number, shape=(1,), dtype="float32"):
    return op("full", [], [(id_, list(shape))], shape=list(shape), value=number, dtype=dtype)


def numbers(id_, *values):
    return op("full_int_array", [], [(id_, [len(values)])], value=list(values), dtype="int64")


def pir(*operators):
    """The bytes of a .json."""
    program = {"regions": [{"blocks": [{"ops": list(operators)}]}]}
    return json.dumps({"base_code": {"magic": "pir", "version": 1}, "program": program}).encode()


# -- Paddle 2
def variable(name, shape, dtype="float32", persistable=False):
    tensor = encode([(1, 0, _CODES[dtype]), *((2, 0, size) for size in shape)])
    dense = encode([(3, 2, encode([(1, 2, tensor)]))])
    return (3, 2, encode([(1, 2, name.encode()), (2, 2, dense), (3, 0, int(persistable))]))


def attribute(name, item):
    if isinstance(item, bool):
        typed = [(2, 0, 6), (10, 0, int(item))]
    elif isinstance(item, int):
        typed = [(2, 0, 0), (3, 0, item)]
    elif isinstance(item, float):
        typed = [(2, 0, 1), (4, 5, struct.pack("<f", item))]
    elif isinstance(item, str):
        typed = [(2, 0, 2), (5, 2, item.encode())]
    elif item and isinstance(item[0], dict):  # Paddle 3's scalars, by their fields' numbers
        typed = [(2, 0, 17), *((21, 2, scalar(**each)) for each in item)]
    elif item and isinstance(item[0], float):
        typed = [(2, 0, 4), *((7, 5, struct.pack("<f", each)) for each in item)]
    else:
        typed = [(2, 0, 3), *((6, 0, each) for each in item)]
    return (4, 2, encode([(1, 2, name.encode()), *typed]))


def scalar(kind=3, b=None, i=None, r=None):
    parts = [(1, 0, kind)]
    parts += [(2, 0, int(b))] if b is not None else []
    parts += [(3, 0, i)] if i is not None else []
    return encode(parts + ([(4, 1, struct.pack("<d", r))] if r is not None else []))


def older_op(kind_, inputs, outputs, /, **attrs):
    """`inputs`, `outputs`: slot -> names."""
    parts = [
        (number, 2, encode([(1, 2, slot.encode()), *((2, 2, name.encode()) for name in names)]))
        for number, slots in ((1, inputs), (2, outputs))
        for slot, names in slots.items()
    ]
    attributes = [attribute(name, item) for name, item in attrs.items()]
    return (4, 2, encode([*parts, (3, 2, kind_.encode()), *attributes]))


def older_feed(name="x", col=0):
    return older_op("feed", {"X": ["feed"]}, {"Out": [name]}, col=col)


def older_fetch(name="y", col=0):
    return older_op("fetch", {"X": [name]}, {"Out": ["fetch"]}, col=col)


def pdmodel(*parts):
    """The bytes of a .pdmodel with one block of variables and operators."""
    return encode([(1, 2, encode([(1, 0, 0), (2, 0, 0), *parts]))])


def put(folder, program, state=None, suffix=".json"):
    """The files of a program, in `folder`."""
    files = ProgramFiles(folder / f"net{suffix}", folder / "net.pdiparams")
    files.program.write_bytes(program)
    files.parameters.write_bytes(pdiparams(state or {}))
    return files


def floats(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")
