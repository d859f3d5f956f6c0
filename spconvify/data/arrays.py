"""The arrays of an .npy or .npz: what a header says first, then only the rows that are wanted."""

from __future__ import annotations

import contextlib
import io
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spconvify.data.memory import check_memory
from spconvify.errors import ArgumentError
from spconvify.files.regular import NotRegularError, open_regular

_ZIP, _NPY = (b"PK\x03\x04", b"PK\x05\x06"), b"\x93NUMPY"  # the second of a zip without entries
_SUFFIX = ".npy"
SINGLE = "images"  # the name of an .npy file's one array
_LONGEST_HEADER = 1 << 16
_CHUNK = 1 << 20
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_DEFLATED = 1032  # bytes that one byte can stand for
_MOST_UNPACKED = 64 << 30  # of a compressed array, which is unpacked as a whole


@dataclass(frozen=True)
class Header:
    """An array's shape and dtype, without its values; `fortran`: columns first; `start`: in its file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    start: int

    @property
    def nbytes(self) -> int:
        """Of all its values."""
        return math.prod(self.shape) * self.dtype.itemsize

    def check_size(self, name: str, size: int) -> None:
        """Refuse a header that says more than `size` bytes hold; of objects it doesn't say how large.

        Raises:
            ArgumentError: names the array.
        """
        if not self.dtype.hasobject and self.nbytes > size - self.start:
            raise ArgumentError(f"{name!r} is damaged: it holds less than its header says")

    def check_numbers(self, name: str) -> None:
        """Refuse what isn't numbers.

        Raises:
            ArgumentError: for objects (which would be unpickled), text, structures, complex numbers.
        """
        if self.dtype.hasobject:
            raise ArgumentError(
                f"not a folder, an .npy or an .npz of arrays of numbers: {name!r} holds Python objects, "
                "which aren't unpickled"
            )
        if self.dtype.kind not in "biuf":
            raise ArgumentError(f"{name!r} is of dtype {self.dtype}, not an array of numbers")


class ArrayFile:
    """An .npy or .npz, told apart by its content; a context manager.

    Raises:
        ArgumentError: if it is neither, or damaged; the message doesn't name the file.
    """

    def __init__(self, path: Path):
        self._stack = contextlib.ExitStack()
        with reading(), contextlib.ExitStack() as stack:
            self._stream: BinaryIO = stack.enter_context(open_regular(path))
            magic = self._stream.read(len(_NPY))
            self._stream.seek(0)
            self._entries: dict[str, zipfile.ZipInfo] = {}
            self._zip = None
            if magic.startswith(_ZIP):
                self._zip = stack.enter_context(zipfile.ZipFile(self._stream))
                self._entries = _entries(self._zip)
            elif magic != _NPY:
                raise ArgumentError("not a folder, an .npy or an .npz of arrays")
            self._stack = stack.pop_all()

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def names(self) -> list[str]:
        """Of its arrays; that of an .npy is called "images"."""
        return list(self._entries) if self._zip is not None else [SINGLE]

    def header(self, name: str) -> Header:
        """What the header of an array says.

        Raises:
            ArgumentError: if it is damaged, or says more than the file can hold.
        """
        with reading(name), self._open(name) as (stream, size):
            header = _read_header(stream)
            header.check_size(name, size)
            return header

    def read(self, name: str, rows: np.ndarray | None = None) -> np.ndarray:
        """An array of numbers, or rows of it (ascending), in this machine's byte order.

        Raises:
            ArgumentError: if it isn't of numbers, damaged, or larger than the memory.
        """
        with reading(name), self._open(name) as (stream, size):
            header = _read_header(stream)
            header.check_numbers(name)
            header.check_size(name, size)
            if self._zip is not None and header.nbytes > _MOST_UNPACKED:
                raise ArgumentError(f"{name!r} is too large to be unpacked; save it as an .npy")
            values = _values(stream, header, rows)
            while self._zip is not None and stream.read(_CHUNK):
                pass  # the checksum is compared at the end
        return values.astype(values.dtype.newbyteorder("="), copy=False)

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[tuple[Any, int]]:
        """An array's bytes, and how many there can be."""
        there = os.fstat(self._stream.fileno()).st_size
        if self._zip is None:
            self._stream.seek(0)
            yield self._stream, there
            return
        info = self._entries[name]
        if info.compress_type not in _PACKED:  # Python unpacks others to gigabytes at once
            raise ArgumentError(f"{name!r} is packed in a way that NumPy doesn't write; save it again")
        packed = min(info.compress_size, there)
        most = packed if info.compress_type == zipfile.ZIP_STORED else packed * _MOST_DEFLATED
        with self._zip.open(info) as stream:
            yield stream, min(info.file_size, most)


@contextlib.contextmanager
def reading(name: str | None = None) -> Iterator[None]:
    """Whatever a damaged file raises becomes one line."""
    try:
        yield
    except ArgumentError:
        raise
    except NotRegularError as error:
        raise ArgumentError("not a regular file") from error
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds
        text = getattr(error, "strerror", None) or str(error) or type(error).__name__
        where = "" if name is None else f" in {name!r}"
        line = " ".join(str(text).split())
        raise ArgumentError(
            f"damaged, or not a folder, an .npy or an .npz of arrays{where} ({line})"
        ) from error


def _entries(file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        if not info.filename.endswith(_SUFFIX):
            continue
        name = info.filename[: -len(_SUFFIX)]
        if name in entries:
            raise ArgumentError(f"it holds {name!r} twice")
        entries[name] = info
    return entries


def _read_header(stream: Any) -> Header:
    """The header alone, and never more of it than a sane one needs."""
    start = stream.read(8)
    if start[:6] != _NPY:
        raise ArgumentError("it isn't an .npy array")
    width, layout = (2, "<H") if start[6] == 1 else (4, "<I")
    length = stream.read(width)
    size = struct.unpack(layout, length)[0]
    if size > _LONGEST_HEADER:
        raise ArgumentError(f"its header has {size} bytes, which no array of numbers needs")
    text = io.BytesIO(start + length + stream.read(size))
    version = np.lib.format.read_magic(text)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ArgumentError(f"it is of .npy version {version}, not an array of numbers")
    shape, fortran, dtype = read(text)
    if min(shape, default=0) < 0:
        raise ArgumentError(f"its header says a shape of {shape}")
    return Header(shape, dtype, fortran, 8 + width + size)


def _values(stream: Any, header: Header, rows: np.ndarray | None) -> np.ndarray:
    whole = rows is None or not header.shape or len(rows) == header.shape[0]
    count = header.shape[:1] if whole or rows is None else (len(rows),)
    wanted = math.prod((*count, *header.shape[1:])) * header.dtype.itemsize
    check_memory(header.nbytes if header.fortran else wanted, "these images")
    if whole or header.fortran:
        flat = np.empty(math.prod(header.shape), header.dtype)
        _fill(stream, flat)
        array = flat.reshape(header.shape, order="F" if header.fortran else "C")
        return array if whole else array[rows]
    assert rows is not None
    array = np.empty((len(rows), *header.shape[1:]), header.dtype)
    row_bytes, position = header.nbytes // header.shape[0], 0
    for index, row in enumerate(rows.tolist()):
        _pass_over(stream, (row - position) * row_bytes)
        _fill(stream, array[index])
        position = row + 1
    return array


def _fill(stream: Any, array: np.ndarray) -> None:
    view = array.reshape(-1).view(np.uint8).data
    while len(view):
        size = stream.readinto(view[:_CHUNK])
        if not size:
            raise EOFError("it ends early")
        view = view[size:]


def _pass_over(stream: Any, size: int) -> None:
    if isinstance(stream, zipfile.ZipExtFile):  # whose checksum needs every byte
        while size > 0:
            passed = len(stream.read(min(size, _CHUNK)))
            if not passed:
                raise EOFError("it ends early")
            size -= passed
    elif size:
        stream.seek(size, os.SEEK_CUR)
