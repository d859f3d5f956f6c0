"""A few pictures made many: mirrored, shifted, and mixed with one another."""

from __future__ import annotations

import numpy as np

_SHIFT = 14  # a shift is at most this part of the side: 2 pixels of 28, 16 of 224
_PLAIN, _MIXED = 0.33, 0.66  # below the first a picture stays alone, below the second it is blended
_SMALLEST, _LARGEST = 0.2, 0.8  # of a side, what is pasted from another picture


def augmented(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """(N, C, H, W) or (N, H, W, C), each mirrored or not, shifted, and of three one blended with another
    (mixup) and one with a part of another pasted in (CutMix)."""
    channels_last = pictures.shape[1] > pictures.shape[3]
    x = pictures.transpose(0, 3, 1, 2) if channels_last else pictures
    x = _mixed(_shifted(x, random), random)
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1) if channels_last else x)


def _shifted(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    count, _, height, width = x.shape
    down, right = height // _SHIFT, width // _SHIFT
    padded = np.pad(x, ((0, 0), (0, 0), (down, down), (right, right)), mode="edge")
    result = np.empty_like(x)
    flips = random.random((count,)) < 0.5
    tops, lefts = random.integers(0, 2 * down + 1, count), random.integers(0, 2 * right + 1, count)
    for index, (flip, top, left) in enumerate(zip(flips, tops, lefts)):
        own = padded[index, :, top : top + height, left : left + width]
        result[index] = own[..., ::-1] if flip else own
    return result


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
