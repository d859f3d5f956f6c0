"""Write a checkpoint atomically: beside the target first, then in its place."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spconvify.checkpoint.checksum import METADATA_KEY, HashingWriter, of_tensors
from spconvify.checkpoint.paths import check_suffix
from spconvify.errors import CheckpointError, Option
from spconvify.files.identity import Identity, identity_of
from spconvify.files.places import place_to_fill
from spconvify.files.scratch import atomic

_PROTOCOL = 4  # what paddle.save writes
_SAFETENSORS_NAMES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32",
    "int16": "I16", "int8": "I8", "uint8": "U8", "uint16": "U16", "bool": "BOOL",
}  # fmt: skip


def write_state(
    path: str | os.PathLike[str],
    state: Mapping[str, np.ndarray],
    bfloat16: Collection[str] = (),
    overwrite: bool = True,
    place: Path | None = None,
    known: Identity | None = None,
) -> Identity:
    """Write arrays by key as `path`'s suffix says; an existing file is replaced as a whole.

    Args:
        path: ends in ``.pdparams`` (a pickle that ``paddle.load`` reads) or ``.safetensors``.
        state: key -> array.
        bfloat16: keys of uint16 arrays that are bfloat16 bits; safetensors says so in its header.
        overwrite: False replaces nothing, even if it comes to `path` while this writes.
        place: where `path` is, found before; no link there is followed. None finds it now.
        known: the one file that may be replaced; None for any.

    Returns:
        Which file it is that was written.

    Raises:
        ArgumentError: for another suffix.
        CheckpointError: if writing fails, or there is a file that must not be replaced; an old file is
            then as it was.
    """
    path = Path(path)
    check_suffix(path)
    try:
        with atomic(place or place_to_fill(path, overwrite), overwrite, known) as file:
            if path.suffix == ".pdparams":
                writer = HashingWriter(file)
                pickler = pickle.Pickler(writer, _PROTOCOL)
                pickler.fast = True  # no memo: it would keep the bytes of every array alive
                pickler.dump(dict(state))
                writer.write_trailer()
            else:
                _write_safetensors(file, state, bfloat16)
            file.flush()
            return identity_of(os.fstat(file.fileno()))
    except FileExistsError as error:
        raise CheckpointError(
            f"{path} exists and is as it was; choose another name, or replace it with ",
            Option("overwrite", True),
        ) from error
    except OSError as error:
        raise CheckpointError(f"can't write {path}: {error.strerror or error}") from error


def _write_safetensors(
    file: BinaryIO, state: Mapping[str, np.ndarray], bfloat16: Collection[str]
) -> None:
    """Header length, JSON header, data. Written here since the library keeps all arrays twice."""
    header: dict[str, Any] = {}
    offset = 0
    for key, array in state.items():
        dtype = "BF16" if key in bfloat16 else _SAFETENSORS_NAMES[array.dtype.name]
        offsets = [offset, offset + array.nbytes]
        header[key] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        offset += array.nbytes
    arrays = [np.ascontiguousarray(array) for array in state.values()]
    checksum = of_tensors(header, (array.data.cast("B") if array.size else b"" for array in arrays))
    header = {"__metadata__": {"format": "np", METADATA_KEY: checksum}, **header}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the data starts at a multiple of eight
    file.write(len(text).to_bytes(8, "little") + text)
    for array in arrays:
        file.write(array.data)
