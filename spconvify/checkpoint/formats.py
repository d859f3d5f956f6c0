"""What a file or folder is that is no checkpoint, and what to give in its place."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from spconvify.errors import CheckpointError

HEAD_BYTES = 4096
_PROGRAM = (
    "an exported program; name the folder that holds its .json or .pdmodel with its .pdiparams, or give "
    "the checkpoint (.pdparams) that it was exported from"
)
_TORCH = (
    "a PyTorch checkpoint; bring its weights over to the Paddle network first, and save that "
    "network's state_dict()"
)
_ONNX = (
    "an ONNX model, whose layers are compiled into it; give the checkpoint (.pdparams) that it came from"
)
_ARCHIVE = "a packed archive; unpack it first"
_OPTIMIZER = "the state of an optimizer (.pdopt); name the .pdparams file"
_PROGRAM_SUFFIXES = (".pdmodel", ".pdiparams", ".json")
_BY_SUFFIX = {
    ".pdmodel": _PROGRAM,
    ".pdiparams": f"the parameters of {_PROGRAM}",
    ".info": f"a part of {_PROGRAM}",
    ".onnx": _ONNX,
    ".pdopt": _OPTIMIZER,
}
# What the first bytes say. The order matters: the last ones are less sure than the others.
_BY_CONTENT: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), text)
    for pattern, text in (
        (rb"\x80[\x02-\x05]\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", _TORCH),
        (rb"\s*\{.*\"(base_code|regions|program)\"", _PROGRAM),
        (rb"\x89HDF", "an HDF5 file; only .pdparams and .safetensors are read"),
        (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|.{257}ustar", _ARCHIVE),
        (rb"version https://git-lfs", "a pointer of Git LFS in the file's place; run `git lfs pull`"),
        (rb"\s*<(!DOCTYPE|html|\?xml)", "a web page: the download went wrong; fetch it again"),
        (rb"\x93NUMPY", "an array (.npy); only .pdparams and .safetensors are read"),
        (rb"\x08[\x01-\x20][\x12\x1a\x22\x3a]", _ONNX),
        (rb"\n.*(feed|fetch|conv2d|pool2d|batch_norm)", _PROGRAM),
        (rb"\x00{16}", f"the parameters of {_PROGRAM}"),
    )
)


def refuse_other_formats(path: Path, head: bytes) -> None:
    """Refuse a file that is neither a pickle nor a .safetensors file, by what it is.

    Args:
        path: of the file.
        head: its first bytes.

    Raises:
        CheckpointError: says what it is, and what to do.
    """
    if not head:
        raise CheckpointError("the file is empty; fetch it again")
    text = _by_name(path) or (_in_archive(path) if head.startswith(b"PK") else _by_content(head))
    if text:
        raise CheckpointError(f"it is {text}")
    if head[:1] != b"\x80":
        raise CheckpointError("it is neither a .pdparams nor a .safetensors file")


def refuse_folder(path: Path) -> None:
    """Refuse a folder: by what was exported into it, or with the checkpoints that it holds.

    Raises:
        CheckpointError: always.
    """
    try:
        names = sorted(entry.name for entry in path.iterdir())
    except OSError:
        names = []
    if holds_program(names):
        raise CheckpointError(f"it is a folder with {_PROGRAM}")
    if any(name.endswith(".onnx") for name in names):
        raise CheckpointError(f"it is a folder with {_ONNX}")
    found = [name for name in names if name.endswith((".pdparams", ".safetensors"))]
    such = f", such as {found[0]}" if found else ", or the folder of an exported program"
    raise CheckpointError(f"it is a folder; name a .pdparams file in it{such}")


def refuse_prefix(path: Path) -> None:
    """Refuse how Paddle names the files of a program, without a suffix: ``model/inference``.

    Raises:
        CheckpointError: if the program's files are there.
    """
    if is_prefix(path):
        raise CheckpointError(f"it is {_PROGRAM}")


def is_prefix(path: Path) -> bool:
    """Whether a program's files are called `path` and a suffix."""
    return any(os.path.isfile(f"{path}{suffix}") for suffix in _PROGRAM_SUFFIXES)


def holds_program(names: Iterable[str]) -> bool:
    """Whether files with these names are an exported program."""
    return any(name.endswith((".pdmodel", ".pdiparams")) or name == "__model__" for name in names)


def _by_name(path: Path) -> str:
    if path.suffix == ".info" and ".pdiparams" not in path.suffixes:
        return ""
    return _PROGRAM if path.name == "__model__" else _BY_SUFFIX.get(path.suffix, "")


def _by_content(head: bytes) -> str:
    return next((text for pattern, text in _BY_CONTENT if pattern.match(head)), "")


def _in_archive(path: Path) -> str:
    """What a zip archive is, by the names in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # of a damaged one
        names = []
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return _TORCH
    if names and all(name.endswith(".npy") for name in names):
        return "a file of arrays (.npz); only .pdparams and .safetensors are read"
    return "a zip archive (a PyTorch checkpoint?); only .pdparams and .safetensors are read"
