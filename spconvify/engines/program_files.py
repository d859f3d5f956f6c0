"""The files of a program of Paddle's, and how its predictor is told of them. Needs no Paddle."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

STEM = "model"  # of the files' names
OLDER = "older"  # the folder of a second program, in the older representation
PROGRAM_SUFFIXES = (".json", ".pdmodel")  # Paddle 3's own representation, and the older one
PARAMETERS = ".pdiparams"


def program_files(folder: Path) -> tuple[Path, Path]:
    """What a trace has written: the program (.json, or .pdmodel of Paddle 2) and its parameters."""
    stem = folder / STEM
    program = next(path for path in map(stem.with_suffix, PROGRAM_SUFFIXES) if path.exists())
    return program, stem.with_suffix(PARAMETERS)


def config_call(folder: Path, files: Iterable[str]) -> str:
    """The Python that makes a predictor's configuration of such files, of those that a folder holds."""
    program = folder / next(name for name in files if Path(name).suffix in PROGRAM_SUFFIXES)
    return f'paddle.inference.Config("{program}", "{program.with_suffix(PARAMETERS)}")'
