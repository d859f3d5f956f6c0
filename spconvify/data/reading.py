"""Images from whatever a path names, as a network wants them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spconvify.data.arrays import SINGLE, ArrayFile, Header
from spconvify.data.axes import find_axes
from spconvify.data.folder import read_folder
from spconvify.data.images import Images, counted
from spconvify.data.memory import check_memory
from spconvify.data.pictures import SUFFIXES
from spconvify.data.preparation import Preparation
from spconvify.data.sample import sample_rows
from spconvify.data.scale import white_of
from spconvify.errors import ArgumentError, Option
from spconvify.evaluation.labels import check_labels

LABELS, STATISTICS = "labels", ("mean", "std")
_LARGEST_STATISTICS = 4096
_ROW_NUMBER = 8  # bytes
# What isn't taken for images, where an .npz calls no array so.
_NEVER_IMAGES = (LABELS, *STATISTICS, "label", "mask", "masks", "y")
_NEEDS_LABELS = (Option("eval"), " needs a file with labels: an .npz with 'images' and 'labels'")


def read_images(
    path: Path, preparation: Preparation, count: int | None = None, *, seed: int = 0, labels: bool = True
) -> Images:
    """Read the images of a folder, an ``.npy`` or an ``.npz``, or a sample of `count` of them.

    The sample is spread over all: over the classes of a folder of classes, over an array from its first
    to its last image. Integers are pixels: they are scaled by their type, and normalised like pictures.
    Floats are normalised, from 0..1 or 0..255, if the user or the file gives a mean or a std; else they
    are taken as they are. An ``.npz`` may hold `images`, `labels`, `mean` and `std`; nothing else of it
    is read, and nothing unpickled. Arrays keep their size unless `preparation` has a `resize`.

    Args:
        path: where they are.
        preparation: what the network takes.
        count: how many; None takes all.
        seed: of the sample.
        labels: False leaves labels alone.

    Raises:
        ArgumentError: if there is no such file, no image in it, its arrays aren't images, their scale
            can't be told, or a label can't be one.
    """
    check_exists(path)
    if path.is_dir():
        return read_folder(path, preparation, count, seed)
    if path.suffix.lower() in SUFFIXES:
        raise ArgumentError(f"images {path}: a single picture; give a folder that holds them")
    with naming(path), ArrayFile(path) as file:
        return _from_arrays(file, path.name, preparation, count, seed, labels)


def check_exists(path: Path) -> None:
    """Raises ArgumentError if there is no such file or folder."""
    if not os.path.exists(path):  # also False for names that no file can have
        raise ArgumentError(f"images {path}: there is no such file or folder")


def check_labelled(path: Path) -> None:
    """Refuse, before any image is read, a file that gives no accuracy: without right labels.

    Raises:
        ArgumentError: names the file, and the label that can't be.
    """
    check_exists(path)
    if path.is_dir():
        raise ArgumentError(*_NEEDS_LABELS, f"; {path} is a folder")
    with naming(path), ArrayFile(path) as file:
        if LABELS not in file.names:
            raise ArgumentError(*_NEEDS_LABELS, f"; it holds {', '.join(file.names) or 'nothing'}")
        shape = _images_header(file)[1].shape
        single = len(shape) == 3 and file.header(LABELS).shape in ((), (1,), (1, 1))
        if shape:  # of three axes either grey images or one picture: the network tells, later
            _labels(file, 1 if single else shape[0])


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the path before what is wrong with it."""
    try:
        yield
    except ArgumentError as error:
        raise ArgumentError(f"images {path}: ", error) from error


@dataclass(frozen=True)
class _Given:
    """Mean and std of the file; None where it has none."""

    mean: Any = None
    std: Any = None

    def act(self, preparation: Preparation) -> bool:
        """Whether the user or the file wants the images to be normalised."""
        own = (preparation.mean, preparation.std, self.mean, self.std)
        return any(numbers is not None for numbers in own)


def _from_arrays(
    file: ArrayFile, name: str, preparation: Preparation, count: int | None, seed: int, labels: bool
) -> Images:
    entry, header = _images_header(file)
    header.check_numbers(entry)
    axes = find_axes(header.shape, preparation.channels, preparation.layout)
    total = 1 if axes.single else header.shape[0]
    wanted = total if count is None else min(count, total)
    pixels_each = int(np.prod(header.shape, dtype=object)) // total
    check_memory(wanted * (pixels_each * (header.dtype.itemsize + 4) + _ROW_NUMBER), counted(wanted))
    rows = sample_rows(total, count, seed)
    found = _labels(file, total) if labels and LABELS in file.names else None
    given = _Given(*(_statistics(file, key) for key in STATISTICS))
    pixels = axes.apply(file.read(entry, None if axes.single else rows))
    images = _normalised(pixels, preparation, given)
    height, width = pixels.shape[2:]
    images.note = f"{counted(len(rows))} of {height}x{width} from {name}{images.note}"
    if preparation.resize not in (None, (height, width)):
        images.values = _resized(images.values, preparation)
        images.note += "; resized to {}x{}".format(*preparation.target)
    if len(rows) < total:
        images.note += f"; a sample of {total}, spread over all"
    images.values = preparation.arrange(images.values)
    images.labels = None if found is None else found[rows]
    images.layout, images.available = preparation.layout, total
    return images


def _images_header(file: ArrayFile) -> tuple[str, Header]:
    """The array that holds the images: the one called so, or the only one that could be."""
    if SINGLE in file.names:
        return SINGLE, file.header(SINGLE)
    headers = {name: file.header(name) for name in file.names}
    found = [name for name, header in headers.items() if len(header.shape) in (3, 4)]
    if len(found) != 1 or found[0].lower() in _NEVER_IMAGES:
        several = f"; which of {', '.join(found)} is it?" if found else ""
        raise ArgumentError(f"it holds no array (N, C, H, W) called 'images'{several}")
    return found[0], headers[found[0]]


def _statistics(file: ArrayFile, name: str) -> np.ndarray | None:
    if name not in file.names:
        return None
    header = file.header(name)
    if header.nbytes > _LARGEST_STATISTICS:
        raise ArgumentError(f"its {name} is {'x'.join(map(str, header.shape))}, not a number a channel")
    return file.read(name)


def _labels(file: ArrayFile, images: int) -> np.ndarray:
    header = file.header(LABELS)
    header.check_numbers(LABELS)
    if int(np.prod(header.shape, dtype=object)) != images:
        shape = "x".join(map(str, header.shape)) or "a scalar"
        raise ArgumentError(
            f"the labels are {shape} for {counted(images)}; give one whole number for each image"
        )
    return check_labels(file.read(LABELS), images, LABELS)


def _normalised(pixels: np.ndarray, preparation: Preparation, given: _Given) -> Images:
    """(N, C, H, W) as the network takes it; the note tells what was done."""
    floats = pixels.dtype.kind == "f"
    with np.errstate(over="ignore"):
        finite = not floats or np.isfinite(pixels.astype(np.float32, copy=False)).all()
    if not finite:
        raise ArgumentError("it holds NaN or infinity; leave those images out")
    if floats and not given.act(preparation):
        if preparation.bgr:
            raise ArgumentError(
                "its floats are taken as they are, which ",
                Option("bgr", True),
                " can't turn around; leave that out, or give a mean and a std too",
            )
        values = np.ascontiguousarray(pixels, dtype=np.float32)
        return Images(values, None, f", floats taken as they are{_like_pixels(pixels)}")
    statistics = preparation.statistics(given.mean, given.std)
    try:
        white = white_of(pixels)
    except ArgumentError as error:
        if not floats:
            raise
        given_ones = preparation.mean or preparation.std
        whose: Any = (Option("mean"), " and ", Option("std")) if given_ones else ("its mean and std",)
        raise ArgumentError(error, ": ", *whose, " can't act on them; leave those out") from error
    values = preparation.normalise(pixels, given.mean, given.std, white)
    scale = "" if white == 255 and pixels.dtype == np.uint8 else f", {pixels.dtype} of 0..{white:g}"
    scale += preparation.order
    return Images(values, None, f"{scale}, {statistics}", statistics=statistics, white=white)


def _like_pixels(values: np.ndarray) -> str:
    """What is odd about floats that are taken as they are: whole numbers up to 255 are pixels."""
    low, high = float(values.min()), float(values.max())
    if low < 0 or high <= 16 or high > 255 or (values[:1] % 1).any():
        return ""
    return " (they look like pixels of 0..255; a mean and a std normalise them)"


def _resized(values: np.ndarray, preparation: Preparation) -> np.ndarray:
    from PIL import Image

    height, width = preparation.target
    result = np.empty((*values.shape[:2], height, width), np.float32)
    for image, target in zip(values, result):
        for channel, place in zip(image, target):
            picture = Image.fromarray(np.ascontiguousarray(channel))
            place[...] = picture.resize((width, height), Image.Resampling.BILINEAR)
    return result
