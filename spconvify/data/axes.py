"""Which axis of an array is which: images, channels, height and width, or why that can't be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spconvify.data.preparation import Layout
from spconvify.errors import ArgumentError

_FEW, _MOST = range(1, 5), 32  # channels that images mostly have, and the most that some have


@dataclass(frozen=True)
class Axes:
    """How an array of images lies: one picture or many, and where its channels are."""

    single: bool
    channels: Literal["first", "last", "none"]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """The array as (N, C, H, W)."""
        if self.single:
            array = array[None]
        if self.channels == "none":
            return array[:, None]
        return array if self.channels == "first" else array.transpose(0, 3, 1, 2)


def find_axes(shape: tuple[int, ...], channels: int, layout: Layout = "NCHW") -> Axes:
    """How an array of this shape lies, for a network that takes so many channels.

    4 axes are images with channels first or last; where both could be, `layout` decides. 3 axes are one
    picture with channels, or, for a network that takes grey ones, grey images.

    Raises:
        ArgumentError: if it has other channels than the network takes, or it can't be told.
    """
    if len(shape) not in (3, 4):
        text = "x".join(map(str, shape)) or "a scalar"
        raise ArgumentError(f"it holds no array (N, C, H, W) called 'images', but {text}")
    if not np.prod(shape, dtype=object):
        raise ArgumentError(f"it holds no images: its shape is {shape}")
    single = len(shape) == 3
    first, last = shape[-3], shape[-1]
    if single and channels == 1 and first != 1 and last != 1:
        return _grey(shape)
    fits: list[Literal["first", "last"]] = []
    if first == channels:
        fits.append("first")
    if last == channels:
        fits.append("last")
    if not fits:
        raise ArgumentError(_other_channels(shape, channels))
    return Axes(single, "last" if layout == "NHWC" and "last" in fits else fits[0])


def _grey(shape: tuple[int, ...]) -> Axes:
    if shape[0] == 3 or shape[-1] in (2, 3, 4):
        text = "x".join(map(str, shape))
        raise ArgumentError(
            f"its shape {text} is that of one picture with channels, and the network takes 1 channel; "
            "give grey images as (N, 1, H, W)"
        )
    return Axes(False, "none")


def _other_channels(shape: tuple[int, ...], channels: int) -> str:
    first, middle, last = shape[-3:]
    square = first == middle != last  # height and width are often the same
    has = last if last == 1 or (last in _FEW and (square or first > _MOST)) else first
    text = "x".join(map(str, shape))
    if len(shape) == 3 and has not in _FEW:
        return f"{text} are images without channels, and the network takes {channels} channels"
    return f"{has} channels, and the network takes {channels} (its shape is {text})"
