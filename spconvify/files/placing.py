"""Put what was made in its place: owner and mode of what it replaces are kept, nothing else goes."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Callable

from spconvify.files.renaming import exchange, rename_new, sync

NEW_FILE_MODE, NEW_FOLDER_MODE = 0o666, 0o777
_kept_umask: int | None = None  # of the command line's beginning


def put_folder(folder: Path, target: Path, check: Callable[[Path], object] | None = None) -> None:
    """Make `folder` the one at `target`, with all that is in it on the disk.

    What was there is in `folder` then, for its maker to remove; its mode and owner, and those of its
    files, are kept. Where the system can exchange two folders in one step, `target` is at every moment
    the old one or the new one.

    Args:
        check: raises if the folder that it is given may not be replaced. It looks at the one at
            `target`, and once more when nobody comes upon that by its name. None: nothing may be there.

    Raises:
        FileExistsError: if something is at `target` and there is no `check`; it is as it was.
        OSError: if the folder can't be put there; what was there is then as it was, or the message
            says where it is.
    """
    for made in folder.rglob("*"):
        sync(made)
        take_after(made, target / made.relative_to(folder))
    take_after(folder, target, NEW_FOLDER_MODE)
    sync(folder)
    if check is None or not os.path.lexists(target):
        rename_new(folder, target)
    else:
        check(target)
        _take_place_of(folder, target, check)
    sync(target.parent)


def take_after(made: Path, target: Path, new: int | None = None) -> None:
    """Give what takes the place of `target` its owner and mode; without one, the mode `new`."""
    now = made.stat()
    try:
        old = target.lstat()
        replaces = stat.S_IFMT(old.st_mode) == stat.S_IFMT(now.st_mode)
    except OSError:
        replaces = False
    if replaces:
        _give_to(made, old)
        os.chmod(made, stat.S_IMODE(old.st_mode))
    elif new is not None:
        os.chmod(made, new & ~_umask() | now.st_mode & stat.S_ISGID)  # which a folder gets from its own


def _give_to(made: Path, owner: os.stat_result) -> None:
    """As far as this user may: another's group is kept where the user is in it."""
    if hasattr(os, "chown"):
        try:
            os.chown(made, owner.st_uid, owner.st_gid)
        except OSError:
            with contextlib.suppress(OSError):
                os.chown(made, -1, owner.st_gid)


def keep_umask() -> None:
    """Go by the umask of now, whatever a network makes of it."""
    global _kept_umask
    _kept_umask = None
    _kept_umask = _umask()


def _umask() -> int:
    """What new files and folders don't get: `tempfile` makes them for the owner alone."""
    if _kept_umask is not None:
        return _kept_umask
    umask = os.umask(0o077)  # there is no way to read it only; threads that make files now hide them
    os.umask(umask)
    return umask


def _take_place_of(folder: Path, target: Path, check: Callable[[Path], object]) -> None:
    """Both change their names; back again if something has come into the old one meanwhile."""
    aside = folder
    if not exchange(folder, target):
        aside = folder.with_suffix(".old")
        rename_new(target, aside)
    try:
        check(aside)
        if aside != folder:
            rename_new(folder, target)
    except BaseException:
        _give_back(aside, folder, target)
        raise
    if aside != folder:
        rename_new(aside, folder)


def _give_back(aside: Path, folder: Path, target: Path) -> None:
    if aside == folder and exchange(folder, target):
        return
    try:
        if aside == folder:  # not where its maker would remove it
            aside = folder.with_suffix(".old")
            rename_new(folder, aside)
        rename_new(aside, target)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; what was there is {aside} now") from error
