"""Whether files came out wrong because their disk is full: Paddle writes on without a word."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from spconvify.errors import EngineError, SpconvifyError

_BYTES = 1 << 16  # less room than this is none


@contextlib.contextmanager
def naming_full_disk(folder: Path, target: Path) -> Iterator[None]:
    """Say that nothing more can be written, where that is why the block fails.

    Args:
        folder: where the block writes.
        target: where the user wants it.

    Raises:
        EngineError: in the place of what the block raises; else that itself.
    """
    try:
        yield
    except (SpconvifyError, OSError) as problem:
        if why := _why_no_more(folder):
            raise EngineError(f"can't write {target}: {why}") from problem
        raise


def _why_no_more(folder: Path) -> str:
    """Why files in a folder can't be any longer, as with a user's share of the disk used up; else ""."""
    if shutil.disk_usage(folder).free < _BYTES:
        return "no space left on its disk"
    for file in filter(Path.is_file, folder.iterdir()):
        try:
            with file.open("ab") as opened:
                opened.write(bytes(_BYTES))
        except OSError as error:
            return error.strerror or str(error)
    return ""
