"""What the teacher of a recovery tells of the student."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from spconvify.errors import CheckpointError, Option
from spconvify.source.loading import find_program


@contextlib.contextmanager
def naming_program(source: str, teacher: str, arch: str | None) -> Iterator[None]:
    """Read `source`; a student of no known network is likely one of its teacher, if that is a program.

    Raises:
        CheckpointError: in the place of one that asks for an `arch`.
    """
    try:
        yield
    except CheckpointError as error:
        if source == teacher or arch or not _asks_for_arch(error) or find_program(teacher) is None:
            raise
        raise CheckpointError(
            f"can't tell what network {source} is of; if it was converted from the teacher, name that: ",
            Option("model_or_arch", teacher),
        ) from error


def _asks_for_arch(error: CheckpointError) -> bool:
    named = []

    def write(option: Option) -> str:
        named.append(option.name)
        return ""

    error.text(write)
    return "model_or_arch" in named
