"""Constants of Paddle 2's programs: Paddle 2 writes their values in one way, and Paddle 3 in another."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from spconvify.errors import CheckpointError
from spconvify.source.programs.program import Allowance
from spconvify.source.programs.tensors import DTYPES
from spconvify.source.programs.wire import Schema, decode, encode, fields

SCALAR: Schema = {1: ("type", int), 2: ("b", bool), 3: ("i", int), 4: ("r", "double")}
_SCALAR_FIELD = {1: "b", 2: "i", 3: "r"}  # by its type; complex numbers have none here

# Of an assign_value: Paddle 3's attribute, then Paddle 2's, of which one isn't empty.
_VALUES = ("values", "fp32_values", "int32_values", "int64_values", "bool_values", "fp64_values")
# Paddle 2's by dtype: (name, type of the attribute, number of its field, how a value is packed).
_OLDER = {
    "bool": ("bool_values", 3, 6, None),
    "int32": ("int32_values", 3, 6, None),
    "int64": ("int64_values", 11, 15, None),
    "float32": ("fp32_values", 4, 7, "<f"),
    "float64": ("fp64_values", 12, 16, "<d"),
}
# Fields on the way from a program to an attribute, and those of one.
_BLOCK, _OPERATOR, _ATTRIBUTE, _TYPE, _NAME, _INT, _SCALARS = 1, 4, 4, 3, 1, 3, 21


def number_of(scalar: Mapping[str, Any]) -> Any:
    """The number that a scalar holds.

    Raises:
        CheckpointError: for a complex one.
    """
    name = _SCALAR_FIELD.get(scalar.get("type", 0))
    if name is None:
        raise CheckpointError("a constant of complex numbers, which isn't supported")
    return scalar[name]


def filled(kind: str, attrs: Mapping[str, Any], allowance: Allowance) -> np.ndarray:
    """What a fill_constant or an assign_value makes.

    Raises:
        CheckpointError, KeyError, ValueError: if it is too large, or its values aren't there.
    """
    dtype, shape = DTYPES[attrs["dtype"]], attrs["shape"]
    allowance.take(shape)
    if kind == "assign_value":
        values: list[Any] = next((attrs[name] for name in _VALUES if attrs.get(name)), [])
        if len(values) != math.prod(shape):  # never zeros in the place of what isn't understood
            raise CheckpointError(f"a constant of shape {shape} with {len(values)} values")
        return np.array(values, dtype).reshape(shape)
    value = float(attrs.get("str_value") or attrs["value"])
    return np.full(shape, int(value) if "int" in dtype else value, dtype)


def with_paddle_2s(data: bytes) -> bytes:
    """A .pdmodel of Paddle 3 whose constants are there as Paddle 2 has them, too.

    Either reads its own: Paddle 3 takes Paddle 2's for nothing in a file that says it is of Paddle 3.
    """
    return _changed(data, _BLOCK, lambda block: _changed(block, _OPERATOR, _constant))


def _changed(data: bytes, place: int, change: Any) -> bytes:
    return encode(
        (number, wire, change(value) if number == place and wire == 2 else value)
        for number, wire, value in fields(data)
    )


def _constant(operator: bytes) -> bytes:
    parts = list(fields(operator))
    if not any(number == _TYPE and value == b"assign_value" for number, _, value in parts):
        return operator
    attrs = [list(fields(value)) for number, _, value in parts if number == _ATTRIBUTE]
    (code,) = (_field(attr, _INT) for attr in attrs if _field(attr, _NAME) == b"dtype")
    given = [_scalars(value) for number, _, value in parts if number == _ATTRIBUTE]
    new = [(_ATTRIBUTE, 2, _older(scalars, DTYPES[code])) for scalars in given if scalars]
    return encode([*parts, *new])


def _field(parts: list[tuple[int, int, Any]], number: int) -> Any:
    return next((value for found, _, value in parts if found == number), None)


def _scalars(attribute: bytes) -> list[bytes]:
    return [value for number, _, value in fields(attribute) if number == _SCALARS]


def _older(scalars: list[bytes], dtype: str) -> bytes:
    name, kind, number, packing = _OLDER[dtype]
    values = [number_of(decode(scalar, SCALAR)) for scalar in scalars]
    wire = {None: 0, "<f": 5, "<d": 1}[packing]
    packed = [int(v) if packing is None else struct.pack(packing, v) for v in values]
    return encode([(1, 2, name.encode()), (2, 0, kind), *((number, wire, value) for value in packed)])
