"""Whether what was read of a program fits together, and is of a size that a network has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spconvify.errors import CheckpointError
from spconvify.printable import printable
from spconvify.source.programs.program import MOST_PARTS, Feed, Program, check_size, each, unsupported

if TYPE_CHECKING:
    import numpy as np

MOST_INPUTS = 8
_MOST_AXES = 8
# Of one input, in numbers, where any size counts as 1: a picture of 4096 by 4096 has 50 million.
_LARGEST_INPUT = 1 << 27


def check_whole(program: Program, state: dict[str, np.ndarray]) -> None:
    """Every value is there before it is used, and parameters have the shapes that the program tells.

    Raises:
        CheckpointError: if that isn't so, or the inputs are none that a network has.
    """
    _check_inputs(program.feeds)
    known, count = {feed.id for feed in program.feeds} | set(program.parameters), 0
    for node in program.nodes:
        sources = list(each(node.inputs))
        count += len(sources)
        if count > MOST_PARTS:  # thousands of operators may take one list of thousands
            raise CheckpointError(f"its operators take more than {MOST_PARTS} tensors")
        lost = next((source for source in sources if source not in known), None)
        if lost in program.unsaved:
            raise unsupported(
                f"the operator {node.op} with {program.unsaved[lost]!r}, which isn't saved with it"
            )
        if lost is not None:
            raise CheckpointError(
                f"it is damaged: what its operator {printable(node.op)} takes isn't there"
            )
        known.update(node.outputs, node.parts.values())
    names = [fetch.name for fetch in program.fetches]
    if not names or not _are_names(names) or any(fetch.id not in known for fetch in program.fetches):
        raise CheckpointError("it is damaged: nothing, or nothing known, comes out of it")
    for id_, name in program.parameters.items():
        shape, array = program.shapes.get(id_), state[name]
        if shape is not None and list(array.shape) != list(shape):
            raise CheckpointError(
                f"{printable(name)!r} has the shape {list(array.shape)} in the parameters, and "
                f"{printable(str(shape))} in the program"
            )


def _check_inputs(feeds: list[Feed]) -> None:
    if not 1 <= len(feeds) <= MOST_INPUTS:
        raise unsupported(f"{len(feeds)} inputs")
    names = [feed.name for feed in feeds]
    if not _are_names(names) or len(set(names)) < len(names):
        raise CheckpointError("it is damaged: its inputs have no names, or twice the same")
    for feed in feeds:
        if feed.dtype == "bfloat16":
            raise unsupported("an input in bfloat16")
        if len(feed.shape) > _MOST_AXES or any(size < -1 for size in feed.shape):
            raise CheckpointError("it is damaged: it has an input of a shape that no tensor has")
        check_size([1 if size < 0 else size for size in feed.shape], "an input", _LARGEST_INPUT)


def _are_names(names: list[str]) -> bool:
    return all(isinstance(name, str) for name in names)
