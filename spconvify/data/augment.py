"""Flips and shifts: what makes a few images go a long way."""

from __future__ import annotations

from typing import Callable

import numpy as np

_SHIFT = 14  # a shift is at most this part of the side: 2 pixels of 28, 16 of 224


def flip_and_shift(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Mirror every second image (N, C, H, W), and shift each by a few pixels; the edge is repeated."""
    _, _, height, width = images.shape
    down, right = height // _SHIFT, width // _SHIFT
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (right, right)), mode="edge")
    result = np.empty_like(images)
    flips = random.random(len(images)) < 0.5
    tops = random.integers(0, 2 * down + 1, len(images))
    lefts = random.integers(0, 2 * right + 1, len(images))
    for index, (flip, top, left) in enumerate(zip(flips, tops, lefts)):
        own = padded[index, :, top : top + height, left : left + width]
        result[index] = own[..., ::-1] if flip else own
    return result


def on_channels_last(
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray],
) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    """The same for images (N, H, W, C)."""

    def turned(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return augment(images.transpose(0, 3, 1, 2), random).transpose(0, 2, 3, 1)

    return turned
