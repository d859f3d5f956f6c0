"""Which file it is that lies at a place: the one that was written there, or somebody else's."""

from __future__ import annotations

import os
import stat
from pathlib import Path

Identity = tuple[int, int, int]  # device, inode, size


def identity_of(found: os.stat_result) -> Identity:
    """Of an open file, or of what `lstat` found."""
    return found.st_dev, found.st_ino, found.st_size


def identity_at(place: Path) -> Identity | None:
    """Of the regular file at a place; None if there is none, or a link."""
    try:
        found = place.lstat()
    except OSError:
        return None
    return identity_of(found) if stat.S_ISREG(found.st_mode) else None


class OwnFile:
    """A file that one run writes again and again, and removes: never what somebody else put there.

    Args:
        path: as messages name it.
        place: where that was when it was checked; no link there is followed.
    """

    def __init__(self, path: Path, place: Path):
        self.path, self.place = path, place
        self.known: Identity | None = None  # of what may be replaced; None: nothing

    def take(self) -> None:
        """Take what is there for this run's own."""
        self.known = identity_at(self.place)

    def is_there(self) -> bool:
        """Whether the file that the run has written, or taken, is still there."""
        return self.known is not None and identity_at(self.place) == self.known

    def remove(self) -> bool:
        """Remove it; False if what is there by now isn't it, and stays."""
        if not os.path.lexists(self.place):
            return True
        if not self.is_there():
            return False
        self.place.unlink(missing_ok=True)
        self.known = None
        return True
