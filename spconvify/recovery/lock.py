"""One run at a time for a file: a lock beside it, which ends with its process however that ends."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from spconvify.errors import ArgumentError
from spconvify.files.locked import CAN_LOCK, TakenError, open_locked, still_at
from spconvify.recovery.launched import first_process

_LONGEST_NAME = 200  # bytes; file systems take 255


@contextlib.contextmanager
def only_run(path: Path | None) -> Iterator[None]:
    """Keep other runs away from `path` during the block; where nothing can be locked, go on without.

    A file ``.NAME.spconvify-lock`` lies beside `path` meanwhile; one that a killed run has left is taken
    over. None locks nothing, and neither does any process of several but the first.

    Raises:
        ArgumentError: if another run has it, or what is no lock lies in its place.
    """
    if path is None or not CAN_LOCK or not first_process():
        yield
        return
    target = path.resolve()
    name = os.fsencode(target.name)
    short = target.name if len(name) <= _LONGEST_NAME else f"{zlib.crc32(name):08x}"
    lock = target.with_name(f".{short}.spconvify-lock")
    descriptor = _locked(lock, path)
    try:
        yield
    finally:
        if descriptor is not None:
            _give_up(lock, descriptor)


def _locked(lock: Path, path: Path) -> int | None:
    def check(descriptor: int) -> None:
        if os.fstat(descriptor).st_size:
            raise ArgumentError(f"{lock} isn't a lock of a recovery; move it elsewhere")

    try:
        descriptor, is_locked = open_locked(lock, check)
    except TakenError as error:
        raise ArgumentError(
            f"another recover is at work on {path}; wait for its end, or name another file"
        ) from error
    except OSError as error:
        _check_nothing_there(lock, error)
        return None
    if is_locked:
        return descriptor
    _close(lock, descriptor, unlink=True)  # a file system without locks
    return None


def _check_nothing_there(lock: Path, error: OSError) -> None:
    """Where no file can be made, nothing is written either; what can't be opened is somebody's."""
    if os.path.lexists(lock):
        raise ArgumentError(
            f"{lock} can't be opened as a lock ({error.strerror or error}); move it elsewhere"
        ) from error


def _give_up(lock: Path, descriptor: int) -> None:
    """Take the file away first: who opens it before that finds out by `still_at`."""
    _close(lock, descriptor, unlink=still_at(lock, descriptor))


def _close(lock: Path, descriptor: int, unlink: bool) -> None:
    if unlink:
        with contextlib.suppress(OSError):
            os.unlink(lock)
    os.close(descriptor)
