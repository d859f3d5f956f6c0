"""Which files may be written, found out before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from spconvify.errors import ArgumentError

SUFFIXES = (".pdparams", ".safetensors")


def check_output(path: str | os.PathLike[str], force: bool = False) -> None:
    """Refuse an output that couldn't be written, or would destroy something.

    Raises:
        ArgumentError: for an unknown suffix, a folder, a file that exists (without `force`), or a
            parent that is missing or read-only.
    """
    path = Path(path)
    check_suffix(path)
    if path.is_dir():
        raise ArgumentError(f"output {path} is a folder; name a file in it")
    if os.path.lexists(path) and not path.is_file():
        raise ArgumentError(f"output {path} isn't a regular file; choose another name")
    if path.exists() and not force:
        raise ArgumentError(f"output {path} exists; replace it with --force, or choose another name")
    # A link is followed, so that the file behind it is replaced and the link stays one.
    folder = path.resolve().parent
    if not folder.is_dir():
        raise ArgumentError(f"output {path}: the folder {folder} doesn't exist; create it first")
    if not os.access(folder, os.W_OK):
        raise ArgumentError(f"output {path}: the folder {folder} can't be written to")


def check_suffix(path: Path) -> None:
    """Refuse a file name whose format isn't known.

    Raises:
        ArgumentError: with the known suffixes.
    """
    if path.suffix not in SUFFIXES:
        raise ArgumentError(f"{path}: unknown suffix {path.suffix!r}; use {' or '.join(SUFFIXES)}")
