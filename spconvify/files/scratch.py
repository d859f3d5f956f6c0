"""Files and folders that are complete or not there: made beside their target, then put in its place.

A killed process leaves what it was making; whoever writes to the same place next sweeps it away. Its
name says that it is spconvify's; whether its maker lives is told by a lock, which ends with the process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Callable

from spconvify.errors import SpconvifyError
from spconvify.files.identity import Identity
from spconvify.files.placing import NEW_FILE_MODE, take_after
from spconvify.files.regular import CAREFUL
from spconvify.files.renaming import rename_new, replace_known, sync

try:
    import fcntl
except ImportError:  # on Windows nothing is swept
    fcntl = None  # type: ignore[assignment]

_MARK, _UNLOCKED = ".spconvify-", ".spconvify-unlocked-"
_RANDOM, _SUFFIX = "[a-z0-9_]{8}", ".tmp"  # as `tempfile` names them
_LONGEST_NAME = 200  # bytes of the target's own; file systems take 255
_BLOCK = bytes(4096)
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)  # of a disk, a file, a user's share
_ROOM = 1 << 16  # bytes; less than this is none


@contextlib.contextmanager
def atomic(path: Path, overwrite: bool = True, known: Identity | None = None) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` if the block ends well, and is gone if it doesn't.

    Mode and owner of a file that is replaced are kept. Where it is `known` which one that is, no other
    is replaced.

    Raises:
        FileExistsError: if something is at `path` at the end, and `overwrite` is off or it isn't the one
            that is known; it is as it was.
        OSError: if it can't be written; an old file is then as it was.
    """
    descriptor, temporary = _made(path, tempfile.mkstemp)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            take_after(temporary, path, NEW_FILE_MODE)
            os.fsync(file.fileno())
            if known is not None:
                replace_known(temporary, path, known)
            else:
                (os.replace if overwrite else rename_new)(temporary, path)
            sync(path.parent)
    except BaseException:  # Ctrl-C too
        _remove(temporary)
        raise


@contextlib.contextmanager
def scratch_folder(target: Path | None = None) -> Iterator[Path]:
    """A folder beside `target`, or in the system's own place, that is gone after the block.

    Whoever has filled it calls `spconvify.files.placing.put_folder`.

    Raises:
        SpconvifyError: if the system has no place for temporary files, or no room left there.
        OSError: if the folder can't be made.
    """
    descriptor, folder = _made(target or _temporary() / "spconvify", _make_folder)
    try:
        yield folder
    except OSError as error:
        if target is not None or error.errno not in NO_ROOM or not _is_full(folder):
            raise
        raise SpconvifyError(
            f"can't write temporary files into {folder.parent}: {error.strerror}; make room there, or "
            "name another folder in TMPDIR"
        ) from error
    finally:
        _remove(folder)
        os.close(descriptor)


def try_out(target: Path) -> None:
    """Find out whether a file can be made beside `target`, by making one.

    Raises:
        OSError: if it can't, as in a read-only folder or on a full disk.
    """
    descriptor, name = _made(target, tempfile.mkstemp)
    try:
        os.write(descriptor, _BLOCK)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        _remove(name)


def sweep(target: Path) -> None:
    """Remove what killed processes of this user were making for `target`."""
    if fcntl is None:
        return
    wanted = re.compile(re.escape(_prefix(target, _MARK)) + _RANDOM + re.escape(_SUFFIX))
    with contextlib.suppress(OSError):
        for name in os.listdir(target.parent):
            if wanted.fullmatch(name):
                with contextlib.suppress(OSError):
                    _sweep_one(target.parent / name)


def _sweep_one(left: Path) -> None:
    if not _is_own(left.lstat()):  # opening what isn't can hang, or do something
        return
    descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | CAREFUL)
    try:
        if _is_own(os.fstat(descriptor)):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if its maker lives
            _remove(left)
    finally:
        os.close(descriptor)


def _is_own(found: os.stat_result) -> bool:
    usual = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)
    return usual and found.st_uid == os.geteuid()


def _made(target: Path, make: Callable[..., tuple[int, str]]) -> tuple[int, Path]:
    """A new file or folder beside `target`: its locked descriptor, and its path.

    Where the file system has no locks, its name is one that nobody sweeps.
    """
    sweep(target)
    mark = _MARK
    while True:
        descriptor, name = make(prefix=_prefix(target, mark), suffix=_SUFFIX, dir=target.parent)
        if fcntl is None or mark == _UNLOCKED:
            return descriptor, Path(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            _remove(Path(name))
            mark = _UNLOCKED
        if os.path.lexists(name):
            return descriptor, Path(name)
        os.close(descriptor)  # another process has swept it away before it was locked


def _make_folder(**where: Any) -> tuple[int, str]:
    name = tempfile.mkdtemp(**where)
    # Windows has no descriptors of folders, and no locks to put on them.
    return os.open(name if fcntl else os.devnull, os.O_RDONLY), name


def _prefix(target: Path, mark: str) -> str:
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return f".{name}{mark}"


def _temporary() -> Path:
    try:
        folder = Path(tempfile.gettempdir()).resolve()
        str(folder).encode("utf-8")  # what Paddle takes
        return folder
    except UnicodeEncodeError as error:
        raise SpconvifyError(
            f"the name of the folder for temporary files, {folder}, isn't UTF-8; name another in TMPDIR"
        ) from error
    except OSError as error:
        raise SpconvifyError(
            f"there is no place for temporary files ({error.strerror}); name a folder in TMPDIR"
        ) from error


def _is_full(folder: Path) -> bool:
    """What failed may have been written elsewhere."""
    try:
        (folder / "room").write_bytes(bytes(_ROOM))
    except OSError as error:
        return error.errno in NO_ROOM
    return False


def _remove(path: Path) -> None:
    """Remove what was made; a second signal or Ctrl-C doesn't leave half of it."""
    try:
        _remove_once(path)
    except BaseException:
        _remove_once(path)
        raise


def _remove_once(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
