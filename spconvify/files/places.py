"""Whether something can be written at a place, and destroys nothing there: found out before any work."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from spconvify.errors import ArgumentError, Option
from spconvify.files.scratch import try_out

_MOUNTS = Path("/proc/self/mountinfo")
Inputs = Mapping[str, "str | os.PathLike[str] | None"]  # what a command reads, by the option's name


def place_of(path: Path) -> Path:
    """`path` itself, whatever the current folder will be: links on the way to it are followed.

    A link at its end is not: what is put there without a look must not land elsewhere.
    """
    return path.parent.resolve() / path.name if path.name not in ("", "..") else path.resolve()


def place_to_fill(path: Path, overwrite: bool) -> Path:
    """Where a file is put that is called `path`: a link is followed if what it leads to may be replaced.

    A command asks once, when it has checked the place: a network may change the current folder, and
    somebody put a link there, while it works.
    """
    return path.resolve() if overwrite else place_of(path)


def check_utf8(folder: Path, what: str) -> None:
    """Refuse a folder in which Paddle's own code can't write or read: it takes names in UTF-8 alone.

    Raises:
        ArgumentError: names the folder.
    """
    try:
        str(folder).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArgumentError(
            f"{what}: the name of {folder} isn't UTF-8, as Paddle needs it; choose another place"
        ) from error


def check_place(path: Path, what: str) -> None:
    """Refuse a place where no file or folder can be put, or where one can't be replaced.

    Args:
        path: of the file or folder.
        what: names it in the error, as "output x.pdparams".

    Raises:
        ArgumentError: if its folder is missing, can't be written to or has no space left, or if what is
            at `path` is mounted there or another user's to keep.
    """
    place = place_of(path)
    if not place.parent.is_dir():
        raise ArgumentError(f"{what}: the folder {place.parent} doesn't exist; create it first")
    if os.path.lexists(place):
        check_removable(place, what)
    try:
        try_out(place)
    except OSError as error:
        raise ArgumentError(
            f"{what}: the folder {place.parent} can't be written to: {error.strerror or error}"
        ) from error


def check_removable(place: Path, what: str) -> None:
    """Refuse what is there and can't be taken away.

    Raises:
        ArgumentError: says why.
    """
    if _is_mounted(place):
        raise ArgumentError(f"{what} is a mount point, which can't be replaced; choose another name")
    if _is_anothers(place):
        raise ArgumentError(f"{what} belongs to another user; choose another name")
    if _is_immutable(place):
        raise ArgumentError(f"{what} is immutable (chattr +i); choose another name")


def check_folder_to_fill(path: Path, what: str) -> None:
    """Refuse a folder in which, made or not yet, no files could be made; they destroy nothing.

    Raises:
        ArgumentError: as `check_place` does.
    """
    there = path.resolve()
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise ArgumentError(f"{what}: {there} isn't a folder; choose another name")
    check_place(there / "new", what)


def check_file(path: Path, what: str, force: bool, inputs: Inputs, in_folders: bool = False) -> None:
    """Refuse a file that can't be put at `path`, or would destroy something there.

    Args:
        path: of the file.
        what: names it in the error, as "plot x.png".
        force: an existing file may be replaced; a link is followed, so that it stays one.
        inputs: what the command reads: never replaced, whatever `force` says.
        in_folders: nor is a file in a folder of these.

    Raises:
        ArgumentError: says what is there, and what to do.
    """
    if os.path.lexists(path) and not path.is_file():
        raise ArgumentError(f"{what} isn't a regular file; choose another name")
    check_is_no_input(path, what, inputs)
    if in_folders:
        check_is_in_no_input(path, what, inputs)
    if path.exists() and not force:
        raise ArgumentError(
            f"{what} exists; replace it with ", Option("force", True), ", or choose another name"
        )
    check_place(path.resolve(), what)


def check_is_no_input(path: Path, what: str, inputs: Inputs) -> None:
    """Refuse to write what a command reads: through links and other spellings too.

    Raises:
        ArgumentError: names the input.
    """
    for name, source in inputs.items():
        if source is not None and _is_same(path, Path(source)):
            raise ArgumentError(
                f"{what} is the same file as {name} {source}, which must not be replaced; "
                "choose another name"
            )


def check_is_in_none(folder: Path, what: str, files: Inputs) -> None:
    """Refuse a folder that would be made where a file is to be.

    Args:
        folder: the one to make, with the folders that lead to it.
        what: names it in the error.
        files: path by the option's name.

    Raises:
        ArgumentError: names the file.
    """
    for name, file in files.items():
        if file is not None and any(_is_same(place, Path(file)) for place in (folder, *folder.parents)):
            raise ArgumentError(
                f"{what} would be a folder where {name} {file} is to be; choose another name"
            )


def check_is_in_no_input(path: Path, what: str, inputs: Inputs) -> None:
    """Refuse to replace a picture in a folder that a command reads pictures from.

    Raises:
        ArgumentError: names the input.
    """
    for name, source in inputs.items():
        if source is None or not path.exists() or not Path(source).is_dir():
            continue
        if any(_is_same(path, file) for file in _files(Path(source))):
            raise ArgumentError(
                f"{what} is one of the files of {name} {source}, which must not be replaced; "
                "choose another name"
            )


def _is_same(one: Path, other: Path) -> bool:
    """Whether both are, or would be, one file."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them isn't there
        return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def _files(folder: Path) -> Iterator[Path]:
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(parent)) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(parent, name) for name in names)


def _is_mounted(path: Path) -> bool:
    """Also a file, or a folder of the same disk, which `os.path.ismount` doesn't see."""
    if os.path.ismount(path):
        return True
    try:
        lines = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:  # no Linux
        return False
    octal = re.compile(r"\\([0-7]{3})")
    points = (octal.sub(lambda code: chr(int(code[1], 8)), line.split()[4]) for line in lines)
    return str(path) in points


def _is_anothers(path: Path) -> bool:
    """Whether it lies in a folder like /tmp, where everybody writes and only owners remove."""
    folder = path.parent.stat()
    if os.name == "nt" or not folder.st_mode & stat.S_ISVTX:
        return False
    return os.geteuid() not in (0, folder.st_uid, path.lstat().st_uid)


def _is_immutable(path: Path) -> bool:
    """Whether writing is forbidden though owner and mode allow it; a mode alone is no obstacle."""
    found = path.lstat()
    if os.name == "nt" or stat.S_ISLNK(found.st_mode):
        return False
    allowed = os.geteuid() == 0 or (os.geteuid() == found.st_uid and found.st_mode & stat.S_IWUSR)
    return bool(allowed) and not os.access(path, os.W_OK)
