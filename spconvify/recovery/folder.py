"""A folder of pictures as a dataset: each is read when it is wanted, so memory doesn't grow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from paddle.io import Dataset

from spconvify.errors import ArgumentError
from spconvify.images import SUFFIXES, Preparation, picture_files, read_picture, statistics_text


class PictureFolder(Dataset):
    """The pictures of a folder and of those in it, as float32 (C, H, W), normalised.

    Args:
        folder: where they are.
        preparation: size, mean and std.
        count: only the first ones.

    Raises:
        ArgumentError: if there is no picture.
    """

    def __init__(self, folder: Path, preparation: Preparation, count: int | None = None):
        super().__init__()
        self._files, self._preparation = picture_files(folder)[:count], preparation
        if not self._files:
            raise ArgumentError(f"images {folder}: no picture in this folder ({', '.join(SUFFIXES)})")
        height, width = preparation.resize or preparation.size
        statistics = statistics_text(*preparation.statistics())
        self.note = f"{len(self)} images from {folder}, resized to {height}x{width}, {statistics}"

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> np.ndarray:
        """Raises ArgumentError if the picture can't be read."""
        pixels = read_picture(self._files[index], self._preparation)
        if pixels is None:
            raise ArgumentError(f"{self._files[index]} isn't a readable image; move it elsewhere")
        return self._preparation.normalise(pixels[None])[0]
