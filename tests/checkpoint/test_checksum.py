"""Checksums: every flipped bit of a file that we wrote is found, and other tools don't mind them."""

import json

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spconvify import CheckpointError
from spconvify.checkpoint import read_state, write_state
from spconvify.checkpoint.checksum import METADATA_KEY, TRAILER_BYTES
from spconvify.checkpoint.integrity import check_file

STATE = {
    "conv.weight": np.linspace(-1, 1, 72, dtype="float32").reshape(4, 2, 3, 3),
    "bn._mean": np.array([1.5, -2.0], "float64"),
    "empty": np.zeros((0, 4), "float32"),
}
SUFFIXES = (".pdparams", ".safetensors")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for suffix in SUFFIXES:
        write_state(folder / f"x{suffix}", STATE)
    return folder


def same(read):
    return list(read) == list(STATE) and all(
        read[key].dtype == value.dtype and np.array_equal(read[key], value)
        for key, value in STATE.items()
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_bit_is_found_or_harmless(files, suffix, tmp_path):
    content = (files / f"x{suffix}").read_bytes()

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, 8 * len(content) - 1))
    def check(bit):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(damaged)
        try:
            read = read_state(path)
        except CheckpointError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert same(read)  # a bit of the name under which the checksum is kept

    check()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_flipped_weight_names_the_remedy(files, suffix, tmp_path):
    content = bytearray((files / f"x{suffix}").read_bytes())
    place = bytes(content).index(STATE["conv.weight"].tobytes()) + 100
    content[place] ^= 1
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"its checksum is wrong: .*fetch it again"):
        read_state(path)


def test_paddle_and_safetensors_read_the_files(files):
    safetensors = pytest.importorskip("safetensors.numpy")
    read = paddle.load(str(files / "x.pdparams"), return_numpy=True)
    assert set(read) == set(STATE)
    np.testing.assert_array_equal(read["conv.weight"], STATE["conv.weight"])
    assert same({key: safetensors.load_file(files / "x.safetensors")[key] for key in STATE})


def test_files_of_other_tools_have_none(tmp_path):
    paddle.save(
        {key: paddle.to_tensor(value) for key, value in STATE.items()}, str(tmp_path / "x.pdparams")
    )
    assert not check_file(tmp_path / "x.pdparams").checksum


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_check_file_counts(files, suffix):
    found = check_file(files / f"x{suffix}")
    assert (found.format, found.checksum, found.tensors, found.elements) == (suffix[1:], True, 3, 74)
    assert found.bytes == (files / f"x{suffix}").stat().st_size


def test_where_the_checksums_are(files):
    content = (files / "x.pdparams").read_bytes()
    assert content[-TRAILER_BYTES:].startswith(b"\nspconvify sha256 ")
    content = (files / "x.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert len(header["__metadata__"][METADATA_KEY]) == 64
