"""Protocol buffers, as far as an exported program needs them; nothing is allocated that isn't there."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spconvify.errors import CheckpointError
from spconvify.source.programs.program import MOST_PARTS

# number -> (name, kind). A kind is int, bool, float (4 bytes), double or str, a nested message, or a
# list with one of these for a repeated field.
Schema = Mapping[int, tuple[str, Any]]


def varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, where it ends)."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (value - (1 << 64) if value >> 63 else value), at
    raise CheckpointError("a number of more than 64 bits")


def fields(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of every field; the value of wire type 2 is its bytes.

    Raises:
        CheckpointError, IndexError: if the message is cut off or damaged.
    """
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        wire = tag & 7
        value: Any
        if wire == 0:
            value, at = varint(data, at)
        elif wire == 2:
            size, at = varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at : at + size], at + size
        else:
            raise CheckpointError(f"a field of the wire type {wire}")
        if at > len(data):
            raise CheckpointError("a field that ends behind its message")
        yield tag >> 3, wire, value


def decode(data: bytes, schema: Schema, parts: Iterator[int] | None = None) -> dict[str, Any]:
    """A message as a dictionary: its fields by name, lists for the repeated ones; unknown ones left out.

    Args:
        data: the message.
        schema: of it; what isn't in there isn't looked into, so it is as deep as that at most.
        parts: counts the messages; it ends where they are too many.

    Raises:
        CheckpointError, IndexError, struct.error: if it is damaged.
    """
    parts = iter(range(MOST_PARTS)) if parts is None else parts
    if next(parts, None) is None:
        raise CheckpointError(f"it has more than {MOST_PARTS} parts, which no program has")
    message: dict[str, Any] = {name: [] for name, kind in schema.values() if isinstance(kind, list)}
    for number, wire, value in fields(data):
        if number not in schema:
            continue
        name, kind = schema[number]
        repeated = isinstance(kind, list)
        kind = kind[0] if repeated else kind
        if repeated and wire == 2 and kind in (int, bool, float, "double"):
            message[name].extend(_packed(value, kind))
            continue
        decoded = decode(value, kind, parts) if isinstance(kind, Mapping) else _one(value, kind)
        if repeated:
            message[name].append(decoded)
        else:
            message[name] = decoded
    return message


def _one(value: Any, kind: Any) -> Any:
    if kind is str:
        return value.decode()
    if kind in (float, "double"):
        return struct.unpack("<f" if kind is float else "<d", value)[0]
    return kind(value)


def _packed(data: bytes, kind: Any) -> list[Any]:
    if kind in (float, "double"):
        size, letter = (4, "f") if kind is float else (8, "d")
        return list(struct.unpack(f"<{len(data) // size}{letter}", data))
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append(kind(value))
    return values


def encode(parts: Iterable[tuple[int, int, Any]]) -> bytes:
    """A message of such fields as `fields` gives: what isn't changed is the same, byte for byte."""
    message = bytearray()
    for number, wire, value in parts:
        message += _varint(number << 3 | wire)
        if wire == 0:
            message += _varint(value)
        else:
            message += (_varint(len(value)) if wire == 2 else b"") + value
    return bytes(message)


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])
