"""Read a .pdparams or .safetensors file into arrays, without running anything in it."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spconvify.checkpoint.checksum import check_metadata, check_trailer
from spconvify.checkpoint.formats import (
    HEAD_BYTES,
    refuse_folder,
    refuse_other_formats,
    refuse_prefix,
)
from spconvify.checkpoint.nesting import flatten
from spconvify.checkpoint.unpickling import unpickle
from spconvify.errors import CheckpointError
from spconvify.files.regular import open_regular
from spconvify.printable import one_line, printable

_SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "uint16", "I64": "int64",
    "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "U16": "uint16", "BOOL": "bool",
}  # fmt: skip


def read_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the arrays of a checkpoint, by key; bfloat16 as the bits in uint16, as Paddle keeps it.

    The format is told from the content.

    Raises:
        CheckpointError: if the file isn't there, is damaged, or is something else than a state dict.
    """
    path = Path(path)
    try:
        head = _head(path)
        if _is_safetensors(head, path.stat().st_size):
            return _read_safetensors(path)
        refuse_other_formats(path, head)
        end = check_trailer(path)
        with open_regular(path) as file:
            content = unpickle(file, path.stat().st_size if end is None else end)
        return flatten(content)
    except CheckpointError as error:
        raise CheckpointError(f"can't read {path}: ", error) from error
    except OSError as error:
        raise CheckpointError(f"can't read {path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(f"can't read {path}: it claims more data than fits in memory") from error


def _head(path: Path) -> bytes:
    """The first bytes of a regular file.

    Raises:
        CheckpointError: if there is none; it names files that are called alike.
    """
    if path.is_dir():
        refuse_folder(path)
    if not path.exists():
        refuse_prefix(path)
        entries = path.parent.iterdir() if path.parent.is_dir() else ()
        siblings = [entry.name for entry in entries if not entry.name.startswith(".")]
        near = difflib.get_close_matches(path.name, siblings, 2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise CheckpointError(f"there is no such file{hint}")
    if not path.is_file():
        raise CheckpointError("it isn't a regular file")
    with open_regular(path) as file:
        return file.read(HEAD_BYTES)


def _is_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes of header length, then JSON.

    A pickle of protocol 2 to 5 starts with 0x80, which a length may do too; but read as a length, a
    pickle's first bytes are far more than any file has.
    """
    if head[8:9] != b"{":
        return False
    return head[:1] != b"\x80" or int.from_bytes(head[:8], "little") <= size


def is_safetensors_file(path: Path) -> bool:
    """Whether a file's first bytes are those of the .safetensors format."""
    return _is_safetensors(_head(path), path.stat().st_size)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    try:
        # The library checks all of the header against the size.
        with safe_open(path, framework="np"), open_regular(path) as file:
            content = memoryview(file.read())
    except SafetensorError as error:
        raise CheckpointError(f"it is a damaged .safetensors file ({error})") from error
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(bytes(content[8:start]))
    data = content[start:]
    check_metadata(header, data)
    return _views(header, data)


def _views(header: Mapping[str, Any], data: memoryview) -> dict[str, np.ndarray]:
    state = {}
    # Views of the file's bytes, in the header's order, which is the network's: the library would copy
    # every tensor, and loses the order.
    for key, entry in header.items():
        if key == "__metadata__":
            continue
        try:  # the library lets some headers pass that can't be
            state[key] = _view(key, entry, data)
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            raise CheckpointError(f"{printable(key)!r} is damaged ({one_line(str(error))})") from error
    if not state:
        raise CheckpointError("it holds no parameters")
    return state


def _view(key: str, entry: Mapping[str, Any], data: memoryview) -> np.ndarray:
    if entry["dtype"] not in _SAFETENSORS_DTYPES:
        raise CheckpointError(f"{key!r} has dtype {entry['dtype']}, which Paddle doesn't know")
    first, end = entry["data_offsets"]
    return np.frombuffer(data[first:end], _SAFETENSORS_DTYPES[entry["dtype"]]).reshape(entry["shape"])
