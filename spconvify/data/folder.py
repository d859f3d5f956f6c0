"""A folder of pictures: what is in it and in its folders, and a sample of that."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spconvify.data.images import Images, counted
from spconvify.data.pictures import (
    SUFFIXES,
    Picture,
    UnreadablePictureError,
    check_channels,
    open_picture,
)
from spconvify.data.preparation import WHITE, Preparation
from spconvify.data.sample import in_turns
from spconvify.data.scale import WHITE16
from spconvify.errors import ArgumentError


@dataclass
class Found:
    """The pictures of a folder, in the order of their names; what couldn't be entered -> why."""

    files: list[Path] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder and of those in it, in the order of their names."""
    return find_pictures(folder).files


def find_pictures(folder: Path) -> Found:
    """The files with a picture's suffix, in this folder and all those in it.

    Symbolic links are followed; a folder that can be reached in several ways is entered once.

    Raises:
        ArgumentError: if the folder itself can't be read.
    """
    found, entered, waiting = Found(), set(), [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = os.stat(current)
            identity = (status.st_dev, status.st_ino)
            if identity in entered:
                continue
            entered.add(identity)
            with os.scandir(current) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if current == folder:
                raise ArgumentError(f"images {folder}: {error.strerror}") from error
            found.skipped[str(current)] = f"a folder that can't be read ({error.strerror})"
            continue
        waiting += [Path(entry.path) for entry in reversed(names) if _is_folder(entry)]
        found.files += [Path(entry.path) for entry in names if _is_picture(entry)]
    found.files.sort()
    return found


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _is_picture(entry: os.DirEntry) -> bool:
    return os.path.splitext(entry.name)[1].lower() in SUFFIXES and not _is_folder(entry)


def read_folder(
    folder: Path, preparation: Preparation, count: int | None = None, seed: int = 0
) -> Images:
    """The pictures of a folder, or a sample of `count`: as many from each of its folders.

    What can't be read is skipped, and another one of the same folder comes in its place.

    Raises:
        ArgumentError: if there is no picture that can be read.
    """
    check_channels(preparation.channels)
    statistics = preparation.statistics()
    found = find_pictures(folder)
    files = in_turns(found.files, lambda path: path.parent, seed)
    pictures, unread = _read(files, preparation, count)
    if WHITE16 in {picture.white for picture in pictures.values()}:  # so dark ones have 16 bits too
        pictures, unread = _read(files, preparation, count, WHITE16)
    skipped = {**found.skipped, **unread}
    if not pictures:
        raise ArgumentError(none_readable(folder, skipped))
    taken = [pictures[file] for file in sorted(pictures)]
    pixels = np.stack([picture.pixels for picture in taken])
    note = describe(folder, len(taken), preparation) + _sampled(taken, found.files, count)
    note += _remarks(taken)
    return Images(
        preparation.arrange(preparation.normalise(pixels)),
        None,
        note,
        dict(sorted(skipped.items())),
        statistics,
        WHITE,
        preparation.layout,
        len(found.files),
    )


def _read(
    files: list[Path], preparation: Preparation, count: int | None, white16: float | None = None
) -> tuple[dict[Path, Picture], dict[str, str]]:
    """The first pictures that can be read, `count` if there are so many, and why others can't."""
    pictures: dict[Path, Picture] = {}
    skipped: dict[str, str] = {}
    for file, picture in _readable(files, preparation, white16):
        if isinstance(picture, UnreadablePictureError):
            skipped[str(file)] = picture.reason
        else:
            pictures[file] = picture
            if len(pictures) == count:
                break
    return pictures, skipped


def _readable(
    files: list[Path], preparation: Preparation, white16: float | None
) -> Iterator[tuple[Path, Picture | UnreadablePictureError]]:
    for file in files:
        try:
            yield file, open_picture(file, preparation, white16)
        except UnreadablePictureError as error:
            yield file, error


def describe(folder: Path, number: int, preparation: Preparation) -> str:
    """What is read of a folder, and how, in one line."""
    height, width = preparation.target
    size = f"resized to {height}x{width}{preparation.order}"
    return f"{counted(number)} from {folder}, {size}, {preparation.statistics()}"


def none_readable(folder: Path, skipped: dict[str, str]) -> str:
    """The message for a folder without a readable picture."""
    first = next(iter(skipped.items()), None)
    broken = f"; {len(skipped)} can't be read, such as {first[0]}: {first[1]}" if first else ""
    return f"images {folder}: no readable image in this folder ({', '.join(SUFFIXES)}){broken}"


def _remarks(taken: list[Picture]) -> str:
    """What was done to some of them."""
    kinds = Counter(remark for picture in taken for remark in picture.remarks)
    return "".join(f"; {number} {remark}" for remark, number in sorted(kinds.items()))


def _sampled(taken: list[Picture], files: list[Path], count: int | None) -> str:
    """That these are a sample, if they are."""
    if len(taken) != count or len(taken) == len(files):
        return ""
    folders = len({file.parent for file in files})
    return f"; a sample of {len(files)}" + (f", spread over {folders} folders" if folders > 1 else "")
