"""Which files may be written, found out before any work is done."""

from __future__ import annotations

import os
from pathlib import Path

from spconvify.errors import ArgumentError
from spconvify.files.places import Inputs, check_file

SUFFIXES = (".pdparams", ".safetensors")


def check_output(
    path: str | os.PathLike[str], force: bool = False, inputs: Inputs | None = None
) -> None:
    """Refuse an output that couldn't be written, or would destroy something.

    Args:
        path: of the checkpoint.
        force: an existing file may be replaced.
        inputs: what the command reads, by the option's name: never replaced, whatever `force` says.

    Raises:
        ArgumentError: for an unknown suffix, a folder, a file that exists (without `force`) or that is
            an input, or a parent that is missing or can't be written to.
    """
    path = Path(path)
    check_suffix(path)
    what = f"output {path}"
    try:
        if path.is_dir():
            raise ArgumentError(f"{what} is a folder; name a file in it")
        check_file(path, what, force, inputs or {})
    except OSError as error:  # a name that is too long, for one
        raise ArgumentError(f"{what} can't be written: {error.strerror or error}") from error


def check_suffix(path: Path) -> None:
    """Refuse a file name whose format isn't known.

    Raises:
        ArgumentError: with the known suffixes.
    """
    if path.suffix not in SUFFIXES:
        raise ArgumentError(f"{path}: unknown suffix {path.suffix!r}; use {' or '.join(SUFFIXES)}")
