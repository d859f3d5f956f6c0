"""A .pdiparams: the parameters of a program, one behind the other in the order of their sorted names."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from spconvify.errors import CheckpointError
from spconvify.files.regular import open_regular
from spconvify.source.programs.wire import decode

DTYPES = {
    0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64",
    20: "uint8", 21: "int8", 22: "bfloat16",
}  # fmt: skip
_DESCRIPTION = {1: ("data_type", int), 2: ("dims", [int])}


def read_tensors(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """The arrays by name, as views of the file's bytes.

    Args:
        path: of the file.
        names: of the parameters; the file doesn't hold them.

    Raises:
        CheckpointError: if the file is damaged, or another program's.
        OSError: if it can't be read.
    """
    with open_regular(path) as file:
        data = file.read()
    at, state = 0, {}
    for name in sorted(set(names)):
        try:
            state[name], at = _tensor(data, at)
        except (struct.error, IndexError, LookupError, ValueError, TypeError) as error:
            raise CheckpointError(
                f"{path.name} is truncated, or another program's: {name!r} isn't where it should be"
            ) from error
    if at != len(data):
        raise CheckpointError(
            f"{path.name} is another program's: {len(data) - at} bytes are left behind the last one"
        )
    return state


def _tensor(data: bytes, at: int) -> tuple[np.ndarray, int]:
    """Version, levels of detail, version, description, numbers."""
    (version, levels) = struct.unpack_from("<IQ", data, at)
    at += 12
    if version or levels > 16:
        raise ValueError(version, levels)
    for _ in range(levels):
        (size,) = struct.unpack_from("<Q", data, at)
        at += 8 + size
    version, size = struct.unpack_from("<Ii", data, at)
    at += 8
    if version or not 0 < size < 1024:
        raise ValueError(version, size)
    description = decode(data[at : at + size], _DESCRIPTION)
    at += size
    dtype, dims = np.dtype(_numpy(DTYPES[description["data_type"]])), description["dims"]
    count = math.prod(dims)
    if any(dim < 0 for dim in dims) or count * dtype.itemsize > len(data) - at:
        raise ValueError(dims)
    array = np.frombuffer(data, dtype, count, at).reshape(dims)
    return array, at + array.nbytes


def _numpy(dtype: str) -> str:
    return "uint16" if dtype == "bfloat16" else dtype  # its bits
