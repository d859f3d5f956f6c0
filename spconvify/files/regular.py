"""Open files that may come from anybody: regular ones only, and never waiting for a writer."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import BinaryIO


def _flags(*names: str) -> int:
    """Not every system has all of them."""
    found = 0
    for name in names:
        found |= getattr(os, name, 0)
    return found


# What comes to a place after the look: opening a FIFO would wait for its writer, and a terminal would
# become this process's own, whose Ctrl-C ends it.
CAREFUL = _flags("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC")
_READ = os.O_RDONLY | _flags("O_BINARY") | CAREFUL
_LOCK = os.O_RDWR | os.O_CREAT | _flags("O_NOFOLLOW") | CAREFUL


class NotRegularError(OSError):
    """A FIFO, a device, a socket or a folder stands where a file was expected."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading, symbolic links followed; the caller closes it.

    Raises:
        NotRegularError: if it is a folder, a FIFO, a socket or a device.
        OSError: if it can't be opened.
    """
    _check(path, os.stat(path))  # opening a device may do something, a tape's rewinds it
    descriptor = os.open(path, _READ)
    try:
        _check(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def open_to_lock(path: Path) -> int:
    """A descriptor of the file at `path`, which is made if nothing is there; no link is followed.

    Raises:
        NotRegularError: if a FIFO, a device or a socket is there.
        OSError: if it can't be opened, as a folder or a link.
    """
    with contextlib.suppress(FileNotFoundError):
        found = path.lstat()
        if not (stat.S_ISLNK(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            _check(path, found)
    descriptor = os.open(path, _LOCK, 0o600)
    try:
        _check(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: str | os.PathLike[str], found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise NotRegularError(f"{path} is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise NotRegularError(f"{path} isn't a regular file")
