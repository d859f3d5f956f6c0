"""Give what is finished its name: never over what somebody else has put there, and so that it lasts."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from pathlib import Path

from spconvify.files.identity import Identity, identity_at

_AT_FDCWD, _NOREPLACE, _EXCHANGE = -100, 1, 2  # linux/fs.h


def rename_new(source: Path, target: Path) -> None:
    """Give a file or folder the name `target`, which nothing may have yet, a link neither.

    Looking first isn't enough: what comes after the look would be destroyed. The system does both in one
    step, or, where it or the file system can't, something that refuses just as surely.

    Raises:
        FileExistsError: if something is at `target`, whenever it came there; it is as it was.
        OSError: if `source` can't be renamed.
    """
    problem = _renameat2(source, target, _NOREPLACE)
    if problem == errno.EEXIST:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    if problem == 0:
        return
    if os.name == "nt":
        os.rename(source, target)  # which never replaces there
    elif source.is_dir():
        _rename_folder(source, target)
    else:
        _rename_file(source, target)


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders in one step; False if that can't be done here."""
    return _renameat2(one, other, _EXCHANGE) == 0


def replace_known(source: Path, target: Path, known: Identity) -> None:
    """Put a file at `target` in the place of the one that is `known`, or where nothing is.

    Raises:
        FileExistsError: if something else is at `target`, a link too; it is as it was.
        OSError: if `source` can't be renamed.
    """
    if not os.path.lexists(target):
        rename_new(source, target)
    elif identity_at(target) != known:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    elif not exchange(source, target):
        os.replace(source, target)
    elif identity_at(source) == known:
        os.unlink(source)
    else:  # it came between the look and the exchange
        exchange(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def sync(path: Path) -> None:
    """Have a folder's entries, or a file's content, on the disk.

    Raises:
        OSError: if the disk fails; a file system that knows no such thing for folders is no failure.
    """
    folder = path.is_dir()
    if folder and os.name == "nt":  # no descriptors of folders
        return
    try:
        descriptor = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not folder or error.errno == errno.EIO:
            raise


def _rename_folder(source: Path, target: Path) -> None:
    os.mkdir(target)
    try:
        os.rename(source, target)  # a folder takes the place of an empty one only
    except OSError as error:
        with contextlib.suppress(OSError):
            os.rmdir(target)
        if error.errno == errno.ENOTEMPTY:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        raise


def _rename_file(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # no links on FAT, for one
        _replace_own(source, target)
    else:
        os.unlink(source)


def _replace_own(source: Path, target: Path) -> None:
    """Take the name with an empty file first, and replace that."""
    with open(target, "xb") as empty:
        try:
            if not os.path.samestat(os.fstat(empty.fileno()), os.lstat(target)):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
            os.replace(source, target)
        except FileExistsError:
            raise
        except BaseException:
            os.unlink(target)
            raise


def _renameat2(source: Path, target: Path, flags: int) -> int:
    """The system's error number; 0 if it went well."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # another system than Linux, or an old one
        return errno.ENOSYS
    done = rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags)
    return 0 if done == 0 else ctypes.get_errno()
