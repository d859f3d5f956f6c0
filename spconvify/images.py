"""Images and labels from files: a folder, an .npy or an .npz, as the network wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spconvify.errors import ArgumentError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp")
# What networks trained on ImageNet expect, for values in [0, 1].
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Numbers = tuple[float, ...]
GREY_MEAN, GREY_STD = (0.5,), (0.5,)


@dataclass
class Images:
    """Normalised float32 images (N, C, H, W), labels (N,) if there are any, and how they were made."""

    values: np.ndarray
    labels: np.ndarray | None
    note: str
    skipped: Sequence[str] = ()

    def batches(self, size: int = 64) -> list[np.ndarray]:
        """The images in batches of `size`; they share the memory."""
        return [self.values[start : start + size] for start in range(0, len(self.values), size)]


@dataclass(frozen=True)
class Preparation:
    """How images become an input: None takes what the file says, else the network's usual values."""

    channels: int
    size: tuple[int, int]  # (H, W) where the images' own isn't kept
    resize: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def normalise(self, pixels: np.ndarray, mean: Any = None, std: Any = None) -> np.ndarray:
        """(N, C, H, W) of 0..255 -> float32, standardised per channel."""
        mean, std = self.statistics(mean, std)
        shape = (1, -1, 1, 1)
        scaled = pixels.astype(np.float32) / 255.0
        return (scaled - np.float32(mean).reshape(shape)) / np.float32(std).reshape(shape)

    def statistics(
        self, mean: Any = None, std: Any = None
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std per channel: the user's, else the file's, else the usual ones.

        Raises:
            ArgumentError: if there are more of them than channels, or a std isn't positive.
        """
        usual = (GREY_MEAN, GREY_STD) if self.channels == 1 else (IMAGENET_MEAN, IMAGENET_STD)
        chosen = []
        for own, file, default in ((self.mean, mean, usual[0]), (self.std, std, usual[1])):
            values = own if own is not None else default if file is None else file
            numbers = tuple(float(value) for value in np.atleast_1d(values))
            if len(numbers) not in (1, self.channels):
                raise ArgumentError(
                    f"{len(numbers)} numbers of mean or std for {self.channels} channels"
                )
            chosen.append(numbers)
        if min(chosen[1]) <= 0:
            raise ArgumentError(f"std {min(chosen[1]):g} isn't positive")
        return chosen[0], chosen[1]


def read_images(path: Path, preparation: Preparation, count: int | None = None) -> Images:
    """Read the first `count` images of a folder, an ``.npy`` or an ``.npz``.

    An array of uint8 is scaled and normalised like pictures; floats are taken as they are. An
    ``.npz`` may hold `images`, `labels`, `mean` and `std`. Files are opened without pickle.

    Raises:
        ArgumentError: if there is no such file, no image in it, or its arrays aren't images.
    """
    if path.is_dir():
        return _from_folder(path, preparation, count)
    if not path.exists():
        raise ArgumentError(f"images {path}: there is no such file or folder")
    try:
        loaded = np.load(path, allow_pickle=False)
        entries = dict(loaded) if path.suffix == ".npz" else {"images": loaded}
    except (ValueError, OSError, EOFError) as error:
        raise ArgumentError(f"images {path}: not a folder, an .npy or an .npz of arrays") from error
    return _from_arrays(path, entries, preparation, count)


def _from_arrays(
    path: Path, entries: dict[str, np.ndarray], preparation: Preparation, count: int | None
) -> Images:
    images = entries.get("images")
    if images is None:
        images = next((array for array in entries.values() if array.ndim in (3, 4)), None)
    if images is None or images.ndim not in (3, 4):
        raise ArgumentError(f"images {path}: it holds no array (N, C, H, W) called 'images'")
    if not images.size:
        raise ArgumentError(f"images {path}: it holds no images: its shape is {images.shape}")
    images = images[:count]
    if images.ndim == 3:  # grey pictures without a channel axis
        images = images[:, None]
    if images.shape[1] != preparation.channels and images.shape[3] == preparation.channels:
        images = images.transpose(0, 3, 1, 2)
    if images.shape[1] != preparation.channels:
        raise ArgumentError(
            f"images {path}: {images.shape[1]} channels, and the network takes {preparation.channels}"
        )
    labels = entries.get("labels")
    note = f"{len(images)} images of {images.shape[2]}x{images.shape[3]} from {path.name}"
    if images.dtype == np.uint8:
        mean, std = preparation.statistics(entries.get("mean"), entries.get("std"))
        images = preparation.normalise(images, entries.get("mean"), entries.get("std"))
        note += f", {statistics_text(mean, std)}"
    else:
        images = np.ascontiguousarray(images, dtype=np.float32)
    if not np.isfinite(images).all():
        raise ArgumentError(f"images {path}: it holds NaN or infinity; leave those images out")
    return Images(images, None if labels is None else labels[:count].reshape(-1), note)


def _from_folder(path: Path, preparation: Preparation, count: int | None) -> Images:
    pixels: list[np.ndarray] = []
    skipped: list[str] = []
    for file in picture_files(path):
        if count is not None and len(pixels) == count:
            break
        picture = read_picture(file, preparation)
        if picture is None:
            skipped.append(str(file))
        else:
            pixels.append(picture)
    if not pixels:
        broken = f"; {len(skipped)} can't be read, such as {skipped[0]}" if skipped else ""
        raise ArgumentError(
            f"images {path}: no readable image in this folder ({', '.join(SUFFIXES)}){broken}"
        )
    mean, std = preparation.statistics()
    height, width = preparation.resize or preparation.size
    note = f"{len(pixels)} images from {path}, resized to {height}x{width}, {statistics_text(mean, std)}"
    return Images(preparation.normalise(np.stack(pixels)), None, note, skipped)


def picture_files(folder: Path) -> list[Path]:
    """The pictures of a folder and of those in it, in the order of their names."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)


def read_picture(file: Path, preparation: Preparation) -> np.ndarray | None:
    """The pixels of a picture, resized: uint8 (C, H, W); None if it can't be read."""
    from PIL import Image, UnidentifiedImageError

    height, width = preparation.resize or preparation.size
    mode = "L" if preparation.channels == 1 else "RGB"
    try:
        with Image.open(file) as image:
            resized = image.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    array = np.asarray(resized)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def statistics_text(mean: Sequence[float], std: Sequence[float]) -> str:
    """Both as words, for a note."""
    return "mean {} and std {}".format(*(",".join(f"{v:g}" for v in values) for values in (mean, std)))
