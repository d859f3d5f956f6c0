"""Which files are an exported program: found from one of them, their prefix, or their folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from spconvify.engines.program_files import PARAMETERS, PROGRAM_SUFFIXES
from spconvify.errors import CheckpointError


@dataclass(frozen=True)
class ProgramFiles:
    """The files of one exported program: the description, the parameters, perhaps their names."""

    program: Path
    parameters: Path

    @property
    def names(self) -> Path:
        """Where Paddle 2 writes what the network called its parameters."""
        return self.parameters.with_name(self.parameters.name + ".info")

    @property
    def is_json(self) -> bool:
        """Whether it is in Paddle 3's own representation."""
        return self.program.suffix == ".json"

    @property
    def said(self) -> str:
        """For messages and tables: the folder and the file, "PP-OCRv4_det/inference"."""
        return f"{self.program.parent.name}/{self.program.stem}".lstrip("/")


def program_files(source: str | os.PathLike[str]) -> ProgramFiles | None:
    """The program that `source` names, or None if it names none.

    Args:
        source: one of its files, their path without a suffix, or a folder that holds one program.

    Raises:
        CheckpointError: if a folder holds several, or the parameters are missing.
    """
    path = Path(source)
    if os.path.isdir(path):  # unlike that of a Path it takes any name, a too long one as well
        return _in_folder(path)
    name = path.name
    if name.endswith(f"{PARAMETERS}.info"):
        path = path.with_name(name[: -len(f"{PARAMETERS}.info")])
    elif path.suffix in (*PROGRAM_SUFFIXES, PARAMETERS) and os.path.isfile(path):
        if path.suffix == ".json" and not path.with_suffix(PARAMETERS).is_file():
            return None  # any file of that kind
        if path.suffix in PROGRAM_SUFFIXES:
            return _complete(path)
        path = path.with_suffix("")
    found = [path.with_name(path.name + suffix) for suffix in PROGRAM_SUFFIXES]
    there = [file for file in found if os.path.isfile(file)]
    if not there or not os.path.isfile(path.with_name(path.name + PARAMETERS)):
        return None
    return _complete(there[0])


def _complete(program: Path) -> ProgramFiles:
    parameters = program.with_name(program.stem + PARAMETERS)
    if not parameters.is_file():
        raise CheckpointError(
            f"{program} is a program without its parameters: {parameters.name} isn't beside it"
        )
    return ProgramFiles(program, parameters)


def _in_folder(folder: Path) -> ProgramFiles | None:
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError:
        return None
    stems = [name[: -len(PARAMETERS)] for name in names if name.endswith(PARAMETERS)]
    found = [
        next(folder / (stem + suffix) for suffix in PROGRAM_SUFFIXES if stem + suffix in names)
        for stem in stems
        if any(stem + suffix in names for suffix in PROGRAM_SUFFIXES)
    ]
    if len(found) > 1:
        listed = " or ".join(str(file) for file in found[:3])
        raise CheckpointError(f"{folder} holds {len(found)} programs; name one: {listed}")
    return _complete(found[0]) if found else None
