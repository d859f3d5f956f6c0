"""What an exported program can be run on when nobody gives anything: shapes and numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spconvify.network.random_values import random_values
from spconvify.source.programs.program import Feed

USUAL_HEIGHT, USUAL_WIDTH = 224, 224
_OF_TEXT_LINES = {48: 320, 32: 320}  # width by height, of networks that read lines of text
# What detectors of Paddle's take beside the picture: the sizes before, and how they were scaled.
_SIZES, _FACTORS = ("im_shape", "im_size"), ("scale_factor",)


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


def usual_values(feeds: Sequence[Feed], batch: int = 1, halved: bool = False) -> list[np.ndarray]:
    """An array for every input: random numbers, and for a detector sizes and factors that can be."""
    shapes = [usual_shape(feed, batch, halved) for feed in feeds]
    picture = next((shape for shape in shapes if len(shape) == 4), (batch, 3, USUAL_HEIGHT, USUAL_WIDTH))
    values = []
    for index, (feed, shape) in enumerate(zip(feeds, shapes)):
        if feed.name in _FACTORS:
            values.append(np.ones(shape, feed.dtype))
        elif feed.name in _SIZES and shape[-1] == 2:
            values.append(np.broadcast_to(np.array(picture[2:], feed.dtype), shape).copy())
        else:
            values.append(random_values(shape, feed.dtype, (0, index)).astype(feed.dtype))
    return values
