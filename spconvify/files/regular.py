"""Open files that may come from anybody: regular ones only, and never waiting for a writer."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

# O_NONBLOCK: opening a FIFO would wait for its writer. Not every system has all of them.
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


class NotRegularError(OSError):
    """A FIFO, a device, a socket or a folder stands where a file was expected."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, symbolic links followed; the caller closes it.

    Raises:
        NotRegularError: if it is a folder, a FIFO, a socket or a device.
        OSError: if it can't be opened.
    """
    if Path(path).is_dir():
        raise NotRegularError(f"{path} is a folder, not a file")
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegularError(f"{path} isn't a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
