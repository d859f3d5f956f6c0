"""A file that one process at a time has: no link is followed, and it is locked until it is closed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from spconvify.files.regular import open_to_lock

try:
    import fcntl
except ImportError:  # Windows: processes aren't kept apart
    fcntl = None  # type: ignore[assignment]

CAN_LOCK = fcntl is not None
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class TakenError(OSError):
    """Another process has the file."""


def open_locked(path: Path, check: Callable[[int], None] = lambda descriptor: None) -> tuple[int, bool]:
    """A descriptor of the file at `path`, which is made if nothing is there, and whether it is locked.

    It isn't where the system or the file system has no locks.

    Args:
        path: the file.
        check: called with the descriptor before it is locked; may raise what it likes.

    Raises:
        TakenError: if another process has it.
        OSError: if it can't be opened, see `open_to_lock`.
    """
    while True:
        descriptor = open_to_lock(path)
        try:
            check(descriptor)
            is_locked = _lock(descriptor)
            if not is_locked or still_at(path, descriptor):
                return descriptor, is_locked
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its owner ended, and took it away, between the two calls


def still_at(path: Path, descriptor: int) -> bool:
    """Whether the opened file is the one at `path`: nobody has taken it away, or put another there."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    return False


def _lock(descriptor: int) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            raise TakenError(error.errno, error.strerror) from error
        return False
    return True
