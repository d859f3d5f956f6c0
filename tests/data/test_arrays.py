"""Arrays in .npy and .npz files: every dtype and order, only what is wanted, and damage."""

import io
import os
import re
import resource
import struct
import zipfile

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.data import arrays, memory, reading
from spconvify.data.arrays import ArrayFile
from spconvify.data.preparation import Preparation
from spconvify.data.reading import check_labelled, read_images

VALUES = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 5)).astype("uint8")


def stored(tmp_path, how, array):
    if how == "npy":
        np.save(tmp_path / "x.npy", array)
        return tmp_path / "x.npy"
    (np.savez if how == "stored" else np.savez_compressed)(tmp_path / "x.npz", images=array)
    return tmp_path / "x.npz"


@pytest.mark.parametrize("how", ["npy", "stored", "compressed"])
@pytest.mark.parametrize(
    "array",
    [
        VALUES,
        np.asfortranarray(VALUES),
        VALUES.astype(">f4"),
        VALUES.astype("<f2"),
        VALUES.astype(">u2"),
    ],
)
def test_rows(tmp_path, how, array):
    with ArrayFile(stored(tmp_path, how, array)) as file:
        assert file.names == ["images"]
        assert file.header("images").shape == array.shape
        for rows in (None, np.array([0, 3, 4, 6]), np.array([5]), np.arange(7)):
            read = file.read("images", rows)
            np.testing.assert_array_equal(read, array if rows is None else array[rows])
            assert read.dtype.isnative


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2)])
def test_small_arrays(tmp_path, shape):
    np.savez(tmp_path / "x.npz", a=np.ones(shape))
    with ArrayFile(tmp_path / "x.npz") as file:
        assert file.read("a").shape == shape


def problem(path, name="images", rows=None):
    with pytest.raises(ArgumentError) as caught:
        with ArrayFile(path) as file:
            file.read(name, rows)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_content_counts_and_not_the_suffix(tmp_path):
    for name, how in (("a.npy", "stored"), ("a.NPZ", "compressed"), ("a.npz", "npy"), ("a", "npy")):
        os.replace(stored(tmp_path, how, VALUES), tmp_path / name)
        with ArrayFile(tmp_path / name) as file:
            np.testing.assert_array_equal(file.read("images"), VALUES)


@pytest.mark.parametrize("how", ["npy", "stored", "compressed"])
def test_damage(tmp_path, how):
    path = stored(tmp_path, how, VALUES)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "damaged" in problem(path)
    if how != "npy":  # which has no checksum
        for rows in (None, np.array([6]), np.array([0])):
            broken = bytearray(whole)
            broken[-300] ^= 255
            path.write_bytes(broken)
            assert "damaged" in problem(path, rows=rows)
    for _ in range(100):
        random = np.random.default_rng(_)
        broken = bytearray(whole)
        for place in random.integers(0, len(broken), 4):
            broken[place] = random.integers(0, 256)
        path.write_bytes(broken)
        try:
            with ArrayFile(path) as file:
                [file.read(name) for name in file.names]
        except ArgumentError:
            pass


def header(text, version=b"\1\0", length=None):
    text = text.encode()
    size = len(text) if length is None else length
    return b"\x93NUMPY" + version + size.to_bytes(2 if version[0] == 1 else 4, "little") + text


HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 3, 224, 224)}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(HUGE), "holds less than its header says"),
        (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 3)}"), "a shape of"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "aren't unpickled"),
        (header("{'descr': '<U9', 'fortran_order': False, 'shape': (1,)}"), "not an array of numbers"),
        (header("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,)}"), "not an array of numb"),
        (header("{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}"), "not an array of numbers"),
        (
            header("{'descr': [('r', '|u1')], 'fortran_order': False, 'shape': (1,)}"),
            "not an array of numbers",
        ),
        (header("__import__('os').abort()"), "damaged"),
        (header("", b"\2\0", 2**32 - 1), "its header has 4294967295 bytes"),
        (header("{}", b"\3\0"), r"version \(3, 0\)"),
        (b"\x93NUMPY", "damaged"),
        (b"", "not a folder, an .npy or an .npz"),
        (b"PK\3\4 and no zip", "damaged"),
        (b"hello", "not a folder, an .npy or an .npz"),
    ],
)
def test_headers_that_lie(tmp_path, content, message):
    (tmp_path / "x.npy").write_bytes(content)
    assert re.search(message, problem(tmp_path / "x.npy"))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("images.npy", content)
    assert problem(tmp_path / "x.npz")


@pytest.mark.parametrize("count", [4 * 10**8, 10**40])
@pytest.mark.parametrize("how", ["npy", "stored", "compressed", "lying"])
@pytest.mark.parametrize("read", [read_images, check_labelled])
def test_a_claim_takes_no_memory(tmp_path, count, how, read):
    """A few hundred bytes that say they are millions of images, or more than there are numbers for."""
    content = header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 1, 28, 28)}}")
    path = tmp_path / "x.npz"
    packed = zipfile.ZIP_DEFLATED if how == "compressed" else zipfile.ZIP_STORED
    if how == "npy":
        path.write_bytes(content + bytes(100))
    else:
        with zipfile.ZipFile(path, "w", packed) as file:
            file.writestr("images.npy", content + bytes(100))
            file.writestr("labels.npy", content + bytes(100))
            size = file.getinfo("images.npy").file_size
    if how == "lying":  # in the list of what the file holds
        path.write_bytes(path.read_bytes().replace(struct.pack("<I", size), b"\xfe\xff\xff\xff"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    preparation = (Preparation.of((1, 1, 28, 28)),) if read is read_images else ()
    with pytest.raises(ArgumentError, match=r"damaged|needs a file with labels"):
        read(path, *preparation)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_numbers_of_rows_count_too(tmp_path, monkeypatch):
    """Of many small images they are more than the images."""
    np.save(tmp_path / "x.npy", np.zeros((1000, 1, 1, 1), np.uint8))
    monkeypatch.setattr(memory, "_physical", lambda: 9000)
    monkeypatch.setattr(reading, "sample_rows", lambda *_: pytest.fail("memory was taken"))
    with pytest.raises(ArgumentError, match="1000 images need"):
        read_images(tmp_path / "x.npy", Preparation.of((1, 1, 1, 1)))


def test_what_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "fifo.npz")
    assert "not a regular file" in problem(tmp_path / "fifo.npz")


def test_an_array_that_is_there_twice(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, VALUES)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as file:
        file.writestr("images.npy", buffer.getvalue())
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("images.npy", buffer.getvalue())
    assert "holds 'images' twice" in problem(tmp_path / "x.npz")


def test_only_the_rows_that_are_wanted_take_memory(tmp_path):
    """256 MiB in a file of 256 KiB."""
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("images", "junk"):
            with file.open(f"{name}.npy", "w") as entry:
                text = "{'descr': '|u1', 'fortran_order': False, 'shape': (256, 1, 1024, 1024)}"
                entry.write(header(text))
                for _ in range(256):
                    entry.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ArrayFile(tmp_path / "x.npz") as file:
        assert file.read("images", np.array([0, 100])).shape == (2, 1, 1024, 1024)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def test_more_than_the_machine_has(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_physical", lambda: 200)
    path = stored(tmp_path, "stored", VALUES)
    assert "this machine has 0.0; use fewer" in problem(path)
    with ArrayFile(path) as file:
        assert file.read("images", np.array([1])).shape == (1, 3, 4, 5)
    monkeypatch.setattr(arrays, "_MOST_UNPACKED", 100)
    assert "too large to be unpacked" in problem(path, rows=np.array([1]))


@pytest.mark.parametrize("packed", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_numpy_packs_in_no_such_way(tmp_path, packed):
    """Python unpacks 3 kB of these to 6 GB at once."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((2, 3, 4, 4), np.uint8))
    path = tmp_path / "packed.npz"
    with zipfile.ZipFile(path, "w", packed) as file:
        file.writestr("images.npy", stream.getvalue())
    with ArrayFile(path) as file, pytest.raises(ArgumentError, match="'images' is packed in a way"):
        file.read("images")
