"""Protocol buffers: read and written again to the bit, and damage is an error."""

import struct

import numpy as np
import pytest
from made_programs import older_feed, older_fetch, older_op, pdmodel, variable

from spconvify.errors import CheckpointError
from spconvify.source.programs import wire
from spconvify.source.programs.pdmodel import _BLOCK
from spconvify.source.programs.wire import decode, encode, fields, varint

PROGRAM = pdmodel(
    variable("x", [-1, 3]),
    older_feed(),
    older_op("scale", {"X": ["x"]}, {"Out": ["y"]}, scale=0.5, bias=-1.0, bias_after_scale=True),
    older_fetch(),
)
_PROGRAM = {1: ("blocks", [_BLOCK])}
DAMAGE = (CheckpointError, IndexError, struct.error)


def test_it_comes_out_as_it_went_in():
    assert encode(fields(PROGRAM)) == PROGRAM


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)])
def test_numbers(number):
    data = encode([(1, 0, number)])
    assert list(fields(data)) == [(1, 0, number)]
    assert varint(data, 1) == (number, len(data))


def test_a_message_by_its_schema():
    schema = {1: ("n", int), 2: ("s", str), 3: ("many", [int]), 4: ("f", float), 5: ("d", "double")}
    parts = [(1, 0, 5), (2, 2, "ü".encode()), (3, 0, 1), (3, 2, b"\x02\x03"), (9, 0, 1)]
    parts += [(4, 5, struct.pack("<f", 0.5)), (5, 1, struct.pack("<d", 0.1))]
    found = decode(encode(parts), schema)
    assert found == {"n": 5, "s": "ü", "many": [1, 2, 3], "f": 0.5, "d": 0.1}


def test_packed_floats():
    data = encode([(1, 2, struct.pack("<3f", 1, 2, 3)), (2, 2, struct.pack("<2d", 1, 2))])
    assert decode(data, {1: ("f", [float]), 2: ("d", ["double"])}) == {"f": [1, 2, 3], "d": [1, 2]}


def test_cut_off_anywhere():
    whole = decode(PROGRAM, _PROGRAM)
    for end in range(1, len(PROGRAM)):
        with pytest.raises(DAMAGE):
            assert decode(PROGRAM[:end], _PROGRAM) == whole, "it can't tell"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 11,  # a number without an end
        b"\x0b",  # a group, which nobody writes any more
        b"\x0a\xff\xff\xff\xff\x0f",  # longer than the file
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # of a negative length
        b"\x0d\x00",  # half a float
    ],
)
def test_damaged(data):
    with pytest.raises(DAMAGE):
        list(fields(data))


def test_random_bytes_give_no_other_error():
    random = np.random.default_rng(0)
    for _ in range(2000):
        at, flip = random.integers(len(PROGRAM)), 1 << random.integers(8)
        data = bytearray(PROGRAM)
        data[at] ^= int(flip)
        try:
            decode(bytes(data), _PROGRAM)
        except (*DAMAGE, UnicodeDecodeError, TypeError, AttributeError, ValueError):
            pass  # a field of another wire type than its kind


def test_too_many_messages(monkeypatch):
    monkeypatch.setattr(wire, "MOST_PARTS", 10)
    with pytest.raises(CheckpointError, match="more than 10 parts"):
        decode(encode([(1, 2, b"")] * 11), {1: ("blocks", [{1: ("n", int)}])})
