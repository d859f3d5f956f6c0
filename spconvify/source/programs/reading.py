"""From the files of an exported program to the program and its parameters; nothing in them is run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from spconvify.errors import CheckpointError
from spconvify.files.regular import open_regular
from spconvify.printable import one_line, said
from spconvify.source.programs.files import ProgramFiles
from spconvify.source.programs.pdmodel import read_pdmodel
from spconvify.source.programs.pir import read_pir
from spconvify.source.programs.program import LARGEST_FILE, Program
from spconvify.source.programs.tensors import read_tensors
from spconvify.source.programs.whole import check_whole

if TYPE_CHECKING:
    import numpy as np


def read_program(files: ProgramFiles) -> tuple[Program, dict[str, np.ndarray]]:
    """The program, and its parameters by name.

    Raises:
        CheckpointError: if a file can't be read, is damaged, or has what can't become a network.
    """
    with naming(files):
        program = _described(files)
        state = read_tensors(files.parameters, program.parameters.values())
        check_whole(program, state)
    return program, state


@contextlib.contextmanager
def naming(files: ProgramFiles) -> Iterator[None]:
    """Whatever goes wrong in the block is an error in one line that names the program.

    Raises:
        CheckpointError: in the place of any other.
    """
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"can't read {files.program}: ", error) from error
    except OSError as error:
        raise CheckpointError(f"can't read {files.program}: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(
            f"can't read {files.program}: it claims more than fits in memory"
        ) from error
    except Exception as error:  # a damaged one can raise almost anything
        detail = one_line(f"{type(error).__name__}: {said(error)}")
        raise CheckpointError(
            f"can't read {files.program}: it is damaged, or of a version that isn't known ({detail})"
        ) from error


def _described(files: ProgramFiles) -> Program:
    with open_regular(files.program) as file:
        data = file.read(LARGEST_FILE + 1)
    if not data:
        raise CheckpointError("the file is empty; fetch it again")
    if len(data) > LARGEST_FILE:
        raise CheckpointError(f"it has more than {LARGEST_FILE >> 20} MiB, which no program has")
    try:
        return read_pir(data) if files.is_json else read_pdmodel(data)
    except json.JSONDecodeError as error:
        raise CheckpointError(f"it is damaged or truncated ({one_line(str(error))})") from error
