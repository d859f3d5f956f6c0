"""Files and folders that are complete or not there: made beside their target, then put in its place.

A killed process leaves what it was making; whoever writes to the same place next sweeps it away. Whether
its maker still lives is told by a lock, which ends with the process.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Callable

try:
    import fcntl
except ImportError:  # on Windows nothing is swept
    fcntl = None  # type: ignore[assignment]

_NEW_FILE_MODE, _NEW_FOLDER_MODE = 0o666, 0o777
_SUFFIX, _RANDOM = ".tmp", "?" * 8  # as `tempfile` names them
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of `path` if the block ends well, and is gone if it doesn't.

    Raises:
        OSError: if it can't be written; an old file is then as it was.
    """
    descriptor, temporary = _made(path, tempfile.mkstemp)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.chmod(temporary, path.stat().st_mode & 0o7777 if path.exists() else _mode(_NEW_FILE_MODE))
            os.replace(temporary, path)
    except BaseException:  # Ctrl-C too
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def scratch_folder(target: Path | None = None) -> Iterator[Path]:
    """A folder beside `target`, or in the system's own place, that is gone after the block.

    Whoever has filled it calls `put_in_place`.
    """
    target = target or Path(tempfile.gettempdir()) / "spconvify"
    descriptor, made = _made(target, _make_folder)
    folder = Path(made)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def put_in_place(folder: Path, target: Path) -> None:
    """Make `folder` the one at `target`; what was there is in `folder` then, for its maker to remove.

    Where the system can exchange two folders in one step, `target` is at every moment the old one or
    the new one.
    """
    os.chmod(folder, _mode(_NEW_FOLDER_MODE))
    if not target.exists():
        os.replace(folder, target)
    elif not _exchanged(folder, target):
        aside = folder.with_suffix(".old")
        os.replace(target, aside)
        try:
            os.replace(folder, target)
        except BaseException:
            os.replace(aside, target)
            raise
        os.replace(aside, folder)


def sweep(target: Path) -> None:
    """Remove what killed processes were making for `target`."""
    if fcntl is None:
        return
    pattern = f".{glob.escape(target.name)}.{_RANDOM}{_SUFFIX}"
    for left in target.resolve().parent.glob(pattern):
        with contextlib.suppress(OSError):
            descriptor = os.open(left, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # fails if its maker lives
                if left.is_dir():
                    shutil.rmtree(left, ignore_errors=True)
                else:
                    os.unlink(left)
            finally:
                os.close(descriptor)


def _made(target: Path, make: Callable[..., tuple[int, str]]) -> tuple[int, str]:
    """A new file or folder beside `target`: its locked descriptor, and its name."""
    sweep(target)
    while True:
        descriptor, name = make(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.resolve().parent)
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.lexists(name):
            return descriptor, name
        os.close(descriptor)  # another process has swept it away before it was locked


def _make_folder(**where: Any) -> tuple[int, str]:
    name = tempfile.mkdtemp(**where)
    # Windows has no descriptors of folders, and no locks to put on them.
    return os.open(name if fcntl else os.devnull, os.O_RDONLY), name


def _exchanged(one: Path, other: Path) -> bool:
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    return rename(*paths, _RENAME_EXCHANGE) == 0


def _mode(wanted: int) -> int:
    """What any new file or folder gets: `tempfile` makes them for the owner alone."""
    umask = os.umask(0)
    os.umask(umask)
    return wanted & ~umask
