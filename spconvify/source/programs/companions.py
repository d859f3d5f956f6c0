"""What lies beside a program and belongs to it: settings of the preprocessing, tables of classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from spconvify.deploy.folder import COMPANION_SUFFIXES, MANIFEST
from spconvify.engines.program_files import PROGRAM_SUFFIXES
from spconvify.errors import EngineError
from spconvify.files.regular import open_regular
from spconvify.source.programs.files import ProgramFiles

_MOST_BYTES = 16 << 20
_MOST_FILES = 32  # in a folder that is the program's own; others are a user's collection


def companions(files: ProgramFiles) -> list[Path]:
    """Its settings and tables, by their suffix; none of a folder that holds much else."""
    folder = files.program.parent
    found = sorted(_likely(folder, files))
    return found if len(found) <= _MOST_FILES else []


def read_companions(files: ProgramFiles) -> dict[str, bytes]:
    """Their contents by name, which may change or go while something long is done.

    Raises:
        EngineError: for one that can't be carried over.
    """
    contents = {}
    try:
        found = companions(files)
    except OSError as error:
        raise EngineError(
            f"can't read {files.program.parent}, which holds the program: {error.strerror or error}"
        ) from error
    for path in found:
        try:
            path.name.encode("utf-8")
            with open_regular(path) as file:
                contents[path.name] = file.read(_MOST_BYTES)
        except UnicodeEncodeError as error:
            problem = "its name isn't UTF-8"
            raise _unreadable(path, problem) from error
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
    return contents


def _unreadable(path: Path, problem: str) -> EngineError:
    return EngineError(
        f"can't carry over {path}, which lies beside the program: {problem}; mend that, or move it away"
    )


def _likely(folder: Path, files: ProgramFiles) -> Iterator[Path]:
    for path in folder.iterdir():
        if path in (files.program, files.parameters) or path.name.startswith("."):
            continue
        if path.suffix not in COMPANION_SUFFIXES or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size > _MOST_BYTES or path.name == MANIFEST or _is_program(path):
            continue
        yield path


def _is_program(path: Path) -> bool:
    """Another network's description, or one of our manifests."""
    if path.suffix not in PROGRAM_SUFFIXES:
        return False
    if path.with_suffix(".pdiparams").exists():
        return True
    try:
        with path.open("rb") as file:
            return b'"base_code"' in file.read(4096)
    except OSError:
        return True
