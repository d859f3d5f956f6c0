"""A folder of pictures as a dataset: each is read when it is wanted, so memory doesn't grow."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import numpy as np
from paddle.io import Dataset

from spconvify.data.folder import describe, find_pictures, none_readable
from spconvify.data.pictures import UnreadablePictureError, check_channels, open_picture, read_picture
from spconvify.data.preparation import Preparation
from spconvify.data.scale import WHITE16
from spconvify.errors import ArgumentError
from spconvify.recovery.fingerprint import checksum, of_files

# Decoding so many takes a minute or two; of a larger folder the later ones are read when they come up.
_CHECKED = 20_000
_THREADS = 4


class PictureFolder(Dataset):
    """The pictures of a folder and of those in it, as float32 in the network's layout, normalised.

    Each is read once at the start, and left out if it can't be: `skipped` says why. Where one can't be
    read any more later, the next one that can stands in for it.

    Args:
        folder: where they are.
        preparation: size, mean and std, layout.
        count: only the first ones.
        progress: called with (pictures looked at, pictures in all).

    Raises:
        ArgumentError: if there is no picture that can be read.
    """

    def __init__(
        self,
        folder: Path,
        preparation: Preparation,
        count: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ):
        super().__init__()
        check_channels(preparation.channels)
        statistics = preparation.statistics()
        found = find_pictures(folder)
        self._folder, self._preparation = folder, preparation
        self.skipped: dict[str, str] = dict(found.skipped)
        self._white16: float | None = None  # of pictures of 16 bits, as soon as one of them tells
        self._files = self._readable(found.files[:count], progress)
        if not self._files:
            raise ArgumentError(none_readable(folder, self.skipped))
        self.statistics = statistics
        self.note = describe(folder, len(self), preparation)

    def _readable(
        self, files: Sequence[Path], progress: Callable[[int, int], None] | None
    ) -> list[Path]:
        checked, problems = files[:_CHECKED], dict[Path, str]()
        with ThreadPoolExecutor(_THREADS) as pool:
            for done, (file, reason) in enumerate(zip(checked, pool.map(self._problem, checked)), 1):
                if reason is not None:
                    problems[file] = reason
                if progress is not None:
                    progress(done, len(checked))
        if self._white16 is not None:  # which those looked at before didn't know
            problems = {file: why for file in problems if (why := self._problem(file)) is not None}
        self.skipped.update((str(file), reason) for file, reason in problems.items())
        return [file for file in files if file not in problems]

    def _problem(self, file: Path) -> str | None:
        try:
            if open_picture(file, self._preparation, self._white16).white == WHITE16:
                self._white16 = WHITE16
        except UnreadablePictureError as error:
            return error.reason
        return None

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> np.ndarray:
        """(C, H, W) or (H, W, C).

        Raises:
            IndexError: beyond the last picture.
            ArgumentError: if no picture can be read any more.
        """
        index = range(len(self))[index]
        for file in (*self._files[index:], *self._files[:index]):
            try:
                pixels = read_picture(file, self._preparation, self._white16)
            except UnreadablePictureError as error:
                self.skipped[str(file)] = error.reason
                continue
            return self._preparation.arrange(self._preparation.normalise(pixels[None]))[0]
        raise ArgumentError(none_readable(self._folder, self.skipped))

    def fingerprint(self) -> str:
        """What tells this data from other data: the pictures that can be read, and how."""
        value = checksum(repr(self._preparation), of_files(self._files, self._folder))
        return f"{value:08x}"
