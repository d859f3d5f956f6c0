"""From the files of an exported program to the program and its parameters; nothing in them is run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from spconvify.errors import CheckpointError
from spconvify.files.regular import open_regular
from spconvify.printable import one_line, printable
from spconvify.source.programs.feeds import usual_shape
from spconvify.source.programs.files import ProgramFiles
from spconvify.source.programs.pdmodel import read_pdmodel
from spconvify.source.programs.pir import read_pir
from spconvify.source.programs.program import (
    LARGEST_FILE,
    LARGEST_INPUT,
    Program,
    each,
    unsupported,
)
from spconvify.source.programs.tensors import read_tensors

if TYPE_CHECKING:
    import numpy as np


def read_program(files: ProgramFiles) -> tuple[Program, dict[str, np.ndarray]]:
    """The program, and its parameters by name.

    Raises:
        CheckpointError: if a file can't be read, is damaged, or has what can't become a network.
    """
    try:
        program = _described(files)
        state = read_tensors(files.parameters, program.parameters.values())
        _check_whole(program, state)
    except CheckpointError as error:
        raise CheckpointError(f"can't read {files.program}: ", error) from error
    except OSError as error:
        raise CheckpointError(f"can't read {files.program}: {error.strerror or error}") from error
    except MemoryError as error:
        raise CheckpointError(
            f"can't read {files.program}: it claims more than fits in memory"
        ) from error
    return program, state


def _described(files: ProgramFiles) -> Program:
    with open_regular(files.program) as file:
        data = file.read(LARGEST_FILE + 1)
    if not data:
        raise CheckpointError("the file is empty; fetch it again")
    if len(data) > LARGEST_FILE:
        raise CheckpointError(f"it has more than {LARGEST_FILE >> 20} MiB, which no program has")
    try:
        return read_pir(data) if files.is_json else read_pdmodel(data)
    except (CheckpointError, MemoryError):
        raise
    except json.JSONDecodeError as error:
        raise CheckpointError(f"it is damaged or truncated ({one_line(str(error))})") from error
    except Exception as error:  # a damaged one can raise almost anything
        detail = printable(one_line(f"{type(error).__name__}: {error}"))
        raise CheckpointError(f"it is damaged, or of a version that isn't known ({detail})") from error


def _check_whole(program: Program, state: dict[str, np.ndarray]) -> None:
    """Every value is there before it is used, and parameters have the shapes that the program tells."""
    known = {feed.id for feed in program.feeds} | set(program.parameters)
    for node in program.nodes:
        lost = next((source for source in each(node.inputs) if source not in known), None)
        if lost in program.unsaved:
            raise unsupported(
                f"the operator {node.op} with {program.unsaved[lost]!r}, which isn't saved with it"
            )
        if lost is not None:
            raise CheckpointError(
                f"it is damaged: what its operator {printable(node.op)} takes isn't there"
            )
        known.update(node.outputs, node.parts.values())
    for feed in program.feeds:
        if math.prod(usual_shape(feed)) > LARGEST_INPUT:
            raise CheckpointError(
                f"its input {printable(feed.name)!r} has the shape {list(feed.shape)}, which is more "
                "than any network's"
            )
    if not program.fetches or any(fetch.id not in known for fetch in program.fetches):
        raise CheckpointError("it is damaged: nothing, or nothing known, comes out of it")
    for id_, name in program.parameters.items():
        shape, array = program.shapes.get(id_), state[name]
        if shape is not None and list(array.shape) != list(shape):
            raise CheckpointError(
                f"{printable(name)!r} has the shape {list(array.shape)} in the parameters, and "
                f"{shape} in the program"
            )
