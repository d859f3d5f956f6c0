"""A few pictures made many: mirrored, shifted, and mixed with one another."""

from __future__ import annotations

import numpy as np

from spconvify.data.augment import flip_and_shift, on_channels_last

_PLAIN, _MIXED = 0.33, 0.66  # below the first a picture stays alone, below the second it is blended
_SMALLEST, _LARGEST = 0.2, 0.8  # of a side, what is pasted from another picture


def augmented(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(N, C, H, W) or (N, H, W, C), each mirrored or not, shifted, and of three one blended with another
    (mixup) and one with a part of another pasted in (CutMix)."""
    if pictures.shape[1] > pictures.shape[3]:
        return on_channels_last(_augmented)(pictures, random)
    return _augmented(pictures, random)


def _augmented(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return _mixed(flip_and_shift(x, random), random)


def _mixed(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    count, _, height, width = x.shape
    other = x[random.permutation(count)]
    kind, share = random.random((count,)), random.random((count,))
    result = x.copy()
    for index in range(count):
        if kind[index] < _PLAIN:
            continue
        if kind[index] < _MIXED:
            weight = np.float32(share[index])
            result[index] = weight * x[index] + (1 - weight) * other[index]
        else:
            tall, wide = (_side(size, random) for size in (height, width))
            top, left = random.integers(0, height - tall + 1), random.integers(0, width - wide + 1)
            area = np.s_[:, top : top + tall, left : left + wide]
            result[index][area] = other[index][area]
    return result


def _side(size: int, random: np.random.Generator) -> int:
    return int(random.integers(max(1, int(size * _SMALLEST)), max(1, int(size * _LARGEST)) + 1))
