"""Parameters are read by the order of their names, and a file of another program is told."""

import struct

import numpy as np
import pytest
from made_programs import feed, fetch, floats, op, parameter, pdiparams, pir, put

from spconvify.errors import CheckpointError
from spconvify.source.programs.architecture import ProgramArchitecture
from spconvify.source.programs.tensors import read_tensors

STATE = {
    "b": floats(3, 4),
    "a": np.arange(5, dtype="int64"),
    "c": np.array(True),
    "d": np.zeros((0, 2), "float32"),
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.pdiparams"
    path.write_bytes(pdiparams(STATE))
    return path


def test_all_of_them(path):
    found = read_tensors(path, ["c", "a", "d", "b", "a"])
    assert list(found) == sorted(STATE)
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "float16", "float64"])
def test_dtypes(tmp_path, dtype):
    path, array = tmp_path / "p", np.arange(6).reshape(2, 3).astype(dtype)
    path.write_bytes(pdiparams({"w": array}))
    found = read_tensors(path, ["w"])["w"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


def test_truncated_anywhere(path):
    content = path.read_bytes()
    for end in range(len(content)):
        path.write_bytes(content[:end])
        with pytest.raises(CheckpointError, match="truncated, or another program's"):
            read_tensors(path, STATE)


def test_a_name_too_many_or_too_few(path):
    with pytest.raises(CheckpointError, match=r"'e' isn't where it should be"):
        read_tensors(path, [*STATE, "e"])
    with pytest.raises(CheckpointError, match=r"bytes are left behind the last one"):
        read_tensors(path, list(STATE)[:2])


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<IQ", 1, 0),  # a version that isn't known
        struct.pack("<IQ", 0, 1 << 40),  # levels of detail without end
        struct.pack("<IQQ", 0, 1, 1 << 62),
        struct.pack("<IQIi", 0, 0, 0, -1),
        struct.pack("<IQIi", 0, 0, 0, 1 << 30),
        struct.pack("<IQIi", 0, 0, 0, 4) + b"\x08\x05\x10\x80",
        struct.pack("<IQIi", 0, 0, 0, 2) + b"\x08\x63",  # a dtype that isn't known
        struct.pack("<IQIi", 0, 0, 0, 13) + b"\x08\x05\x10" + b"\xff" * 9 + b"\x01",  # a size of -1
        struct.pack("<IQIi", 0, 0, 0, 8) + b"\x08\x05\x10\x80\x80\x80\x80\x10",  # 2 ** 32
    ],
)
def test_damaged(tmp_path, header):
    path = tmp_path / "p"
    path.write_bytes(header + bytes(64))
    with pytest.raises(CheckpointError, match="truncated, or another program's"):
        read_tensors(path, ["w"])


@pytest.mark.parametrize(("dtype", "code"), [("float16", 4), ("bfloat16", 22)])
def test_half_precision_is_refused_by_name(tmp_path, dtype, code):
    """Its bits are read, whatever NumPy has for them."""
    array = np.ones((3, 3), "float16" if dtype == "float16" else "uint16")
    program = pir(
        parameter(1, "w", (3, 3)),
        feed(2, (1, 3)),
        op("matmul", [2, 1], [(3, [1, 3])], transpose_x=False, transpose_y=False),
        fetch(3),
    )
    files = put(tmp_path, program)
    files.parameters.write_bytes(pdiparams({"w": array}, {str(array.dtype): code}))
    with pytest.raises(CheckpointError, match=f"has parameters in {dtype}"):
        ProgramArchitecture(files).build(lazy=True)
