"""What an exported program can be run on when nobody gives anything: shapes and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spconvify.network.batches import FACTORS, SIZES
from spconvify.network.random_values import random_values
from spconvify.source.programs.program import Feed

USUAL_HEIGHT, USUAL_WIDTH = 224, 224
_OF_TEXT_LINES = {48: 320, 32: 320}  # width by height, of networks that read lines of text


def usual_shape(feed: Feed, batch: int = 1, halved: bool = False) -> tuple[int, ...]:
    """A shape with a size for every axis; `halved` gives another one where it is free.

    Axes of any size are taken for `batch` if they come first, and for 224, or the width of a line of
    text, otherwise.
    """
    sizes = list(feed.shape)
    for axis, size in enumerate(sizes):
        if size >= 0:
            continue
        if axis == 0:
            sizes[axis] = batch
        elif len(sizes) != 4:
            sizes[axis] = USUAL_WIDTH
        elif axis == len(sizes) - 1 and sizes[axis - 1] in _OF_TEXT_LINES:
            sizes[axis] = _OF_TEXT_LINES[sizes[axis - 1]] // (1 + halved)
        else:
            # Another size, and not a square: still what a network can halve five times.
            sizes[axis] = (160 if axis == 2 else 96) if halved else USUAL_HEIGHT
    return tuple(sizes)


def usual_values(
    feeds: Sequence[Feed], batch: int = 1, halved: bool = False, pixels: bool = False
) -> list[np.ndarray]:
    """An array for every input: random numbers, and for a detector sizes and factors that can be.

    With `pixels` numbers from 0 to 1, or whole ones from 0 to 255 in a picture of integers: of others
    there may be no logarithm or root.
    """
    picture = picture_of(feeds)
    shape = None if picture is None else usual_shape(picture, batch, halved)
    values = _values(feeds, batch, halved, shape)
    return (
        [_as_pixels(array, len(feed.shape) == 4) for feed, array in zip(feeds, values)]
        if pixels
        else values
    )


def _as_pixels(values: np.ndarray, picture: bool) -> np.ndarray:
    random = np.random.default_rng(1)
    if values.dtype.kind == "f" and not (values == values.flat[0]).all():
        return random.random(values.shape).astype(values.dtype)
    if values.dtype.kind in "iu" and picture:
        return random.integers(0, 128 if values.dtype == np.int8 else 256, values.shape).astype(
            values.dtype
        )
    return values


def values_beside(feeds: Sequence[Feed], picture: Sequence[int]) -> dict[str, np.ndarray]:
    """Arrays for the inputs beside the picture, by name: for one of this shape, (N, C, H, W)."""
    own, values = picture_of(feeds), _values(feeds, picture[0], False, tuple(picture))
    return {feed.name: array for feed, array in zip(feeds, values) if feed is not own}


def picture_of(feeds: Sequence[Feed]) -> Feed | None:
    """The first input that may be pictures."""
    return next((feed for feed in feeds if len(feed.shape) == 4 and "float" in feed.dtype), None)


def _values(
    feeds: Sequence[Feed], batch: int, halved: bool, picture: tuple[int, ...] | None
) -> list[np.ndarray]:
    picture = picture or (batch, 3, USUAL_HEIGHT, USUAL_WIDTH)
    own, values = picture_of(feeds), []
    for index, feed in enumerate(feeds):
        shape = picture if feed is own else usual_shape(feed, batch, halved)
        if feed.name in FACTORS:
            values.append(np.ones(shape, feed.dtype))
        elif feed.name in SIZES and shape[-1] == 2:
            values.append(np.broadcast_to(np.array(picture[2:], feed.dtype), shape).copy())
        else:
            values.append(random_values(shape, feed.dtype, (0, index)).astype(feed.dtype))
    return values
