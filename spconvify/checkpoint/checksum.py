"""A checksum in what spconvify writes, which Paddle and safetensors ignore and spconvify checks.

Neither format has one: a flipped bit in a plain pickle is another weight, without an error. In a
.pdparams file the SHA-256 of the pickle stands behind its end, where ``paddle.load`` doesn't look; in a
.safetensors file that of tensors and data stands in the header's metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from spconvify.errors import CheckpointError
from spconvify.files.regular import open_regular

_MAGIC = b"\nspconvify sha256 "
TRAILER_BYTES = len(_MAGIC) + hashlib.sha256().digest_size
METADATA_KEY = "spconvify_sha256"
_CHUNK = 1 << 22


class HashingWriter:
    """A file to write to that knows the SHA-256 of what was written."""

    def __init__(self, file: BinaryIO):
        self._file, self._hash = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        """Write bytes, or anything that is a buffer of them."""
        self._hash.update(data)
        return self._file.write(data)

    def write_trailer(self) -> None:
        """Write the checksum of everything before it."""
        self._file.write(_MAGIC + self._hash.digest())


def check_trailer(path: Path) -> int | None:
    """Check the checksum at a file's end; how many bytes it is of, or None if there is none.

    Raises:
        CheckpointError: if it is there and wrong.
    """
    size = path.stat().st_size - TRAILER_BYTES
    if size < 0:
        return None
    with open_regular(path) as file:
        file.seek(size)
        trailer = file.read()
        if not trailer.startswith(_MAGIC):
            return None
        file.seek(0)
        found, left = hashlib.sha256(), size
        while left and (chunk := file.read(min(_CHUNK, left))):
            found.update(chunk)
            left -= len(chunk)
    if found.digest() != trailer[len(_MAGIC) :]:
        raise CheckpointError(_WRONG)
    return size


def of_tensors(header: Mapping[str, Any], data: Iterable[Any]) -> str:
    """The checksum of a .safetensors file: of its header's tensors and its data, in hexadecimal."""
    tensors = {key: value for key, value in header.items() if key != "__metadata__"}
    found = hashlib.sha256(json.dumps(tensors, separators=(",", ":")).encode())
    for part in data:
        found.update(part)
    return found.hexdigest()


def check_metadata(header: Mapping[str, Any], data: Any) -> bool:
    """Check the checksum in a .safetensors header; False if there is none.

    Raises:
        CheckpointError: if it is there and wrong.
    """
    if not has_checksum(header):
        return False
    if of_tensors(header, [data]) != header["__metadata__"][METADATA_KEY]:
        raise CheckpointError(_WRONG)
    return True


def has_checksum(header: Mapping[str, Any]) -> bool:
    """Whether a .safetensors header has a checksum."""
    return METADATA_KEY in (header.get("__metadata__") or {})


_WRONG = "its checksum is wrong: the file was damaged after it was written; fetch it again"
