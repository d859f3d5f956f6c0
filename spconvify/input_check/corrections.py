"""What is usually wrong with the values of images: found by trying what would put it right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Callable

import numpy as np

from spconvify.input_check.norm_statistics import NormProbe

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY_MEAN, GREY_STD = (0.449,), (0.226,)  # ImageNet's, without colour
FITS = 0.05  # distance; of right images it is below that from 16 of them on
BETTER = 4.0  # times nearer a correction has to come

_LEAST_FILL = 0.4  # of the range; no picture uses less of it
_SURE_FILL = 0.8  # no other way of writing pixels is likely
_ROUNDS = 4
_FARTHEST = 1e9  # of a scale or a shift that is looked at
_INVERTED = "their light and dark are exchanged (255 - pixel)"
_OTHER_ORDER = "their channels are in the other order (BGR in place of RGB, or the reverse)"
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Scale:
    """A way to write pixels of 0..1 as a network's input, ``(pixel - mean) / std``, in words too."""

    text: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def fill(self, low: float, high: float) -> float:
        """How much of the range values from `low` to `high` fill; 0 where they go beyond it."""
        values = [(pixel - m) / s for m, s in zip(self.mean, self.std) for pixel in (0.0, 1.0)]
        smallest, largest = min(values), max(values)
        slack = 0.01 * (largest - smallest)
        inside = smallest - slack <= low and high <= largest + slack
        return (high - low) / (largest - smallest) if inside else 0.0

    def pixels(self, values: np.ndarray, axis: int) -> np.ndarray:
        """Back to 0..1."""
        return values * _along(self.std, values, axis) + _along(self.mean, values, axis)

    def values(self, pixels: np.ndarray, axis: int) -> np.ndarray:
        """From 0..1."""
        return (pixels - _along(self.mean, pixels, axis)) / _along(self.std, pixels, axis)


def scales(channels: int) -> tuple[list[Scale], list[Scale]]:
    """(as networks want their values, as values are when something went wrong besides)."""
    mean, std = {3: (IMAGENET_MEAN, IMAGENET_STD)}.get(channels, (GREY_MEAN, GREY_STD))
    byte = 1 / 255
    wanted = [
        Scale("values of 0..1", (0.0,), (1.0,)),
        Scale("values with ImageNet's mean and std", mean, std),
        Scale("values of -1..1 (mean 0.5, std 0.5)", (0.5,), (0.5,)),
        Scale("pixels of 0..255", (0.0,), (byte,)),
    ]
    wrong = [
        Scale(
            "pixels of 0..255 less a mean and over a std that are meant for 0..1",
            tuple(byte * m for m in mean),
            tuple(byte * s for s in std),
        ),
        Scale("pixels divided by 255 twice", (0.0,), (255.0,)),
        Scale(
            "pixels divided by 255 twice, then less a mean and over a std",
            tuple(255.0 * m for m in mean),
            tuple(255.0 * s for s in std),
        ),
        Scale(
            "values with mean and std taken off twice",
            tuple(m + s * m for m, s in zip(mean, std)),
            tuple(s * s for s in std),
        ),
    ]
    return wanted, wanted + wrong


@dataclass(frozen=True)
class Cause:
    """A mistake that would explain what the statistics say, in words."""

    text: str
    distance: float


def likely_cause(probe: NormProbe, batches: Sequence[np.ndarray], axis: int) -> Cause | None:
    """The mistake whose correction brings the statistics nearest to those of the training.

    Args:
        probe: of the first BatchNorm.
        batches: some images.
        axis: of the channels in a batch.
    """
    before = probe.distance(batches)
    causes = []
    for text, change in _changes(batches[0].shape[axis], axis, *_range(batches)):
        after = probe.distance([_float32(change(batch)) for batch in batches])
        if after.median < FITS and after.mean * BETTER < before.mean:
            causes.append(Cause(text, after.mean))
    return min(causes, key=lambda cause: cause.distance, default=None)


def scaling_cause(probe: NormProbe, batches: Sequence[np.ndarray], axis: int) -> Cause | None:
    """The scale and the shift that would bring the statistics to those of the training, if any do."""
    before = probe.distance(batches)
    scale, shift, after = 1.0, 0.0, before
    for _ in range(_ROUNDS):  # a border of zeros counts like the images where these hardly vary
        step, offset = probe.affine([_float32(scale * batch + shift) for batch in batches])
        scale, shift = step * scale, step * shift + offset
        if not max(abs(scale), abs(shift)) < _FARTHEST:  # or NaN: nothing that anybody did to pictures
            return None
        after = probe.distance([_float32(scale * batch + shift) for batch in batches])
        if after.median < FITS and after.mean * BETTER < before.mean:
            return Cause(_in_words(scale, shift, batches, axis), after.mean)
    return None


def _in_words(scale: float, shift: float, batches: Sequence[np.ndarray], axis: int) -> str:
    """What a scale and a shift mean for pixels, where the values' range tells how they were made."""
    low, high = _range(batches)
    known = [
        g for g in scales(batches[0].shape[axis])[0] if len(g.mean) == 1 and g.fill(low, high) > 0.8
    ]
    if not known:
        return f"another mean and std: {scale:.3g} times the values, and {shift:+.3g}, would fit"
    given = known[0]
    std = given.std[0] / scale
    mean = given.mean[0] - std * shift
    return f"they are {given.text}; pixels of 0..1 less mean {mean:.3g} and over std {std:.3g} would fit"


def _changes(channels: int, axis: int, low: float, high: float) -> Iterator[tuple[str, Change]]:
    """Corrections of values from `low` to `high`, each with the mistake in words."""
    wanted, given = scales(channels)
    for old in given:
        if old.fill(low, high) < _LEAST_FILL:
            continue
        for new in wanted:
            if new is not old:
                text = f"they are {old.text}, and the network was trained on {new.text}"
                yield text, partial(_rewritten, old, new, axis, False)
        if channels == 3:
            yield _OTHER_ORDER, partial(_rewritten, old, old, axis, True)
    yield _INVERTED, partial(np.subtract, low + high)
    if channels == 3:
        yield _OTHER_ORDER, partial(np.flip, axis=axis)


def _rewritten(old: Scale, new: Scale, axis: int, flipped: bool, values: np.ndarray) -> np.ndarray:
    pixels = old.pixels(values, axis)
    return new.values(np.flip(pixels, axis) if flipped else pixels, axis)


def _range(batches: Sequence[np.ndarray]) -> tuple[float, float]:
    return min(float(b.min()) for b in batches), max(float(b.max()) for b in batches)


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # of a guess that is far off
        return np.ascontiguousarray(values, dtype=np.float32)


def _along(numbers: Sequence[float], values: np.ndarray, axis: int) -> np.ndarray:
    shape = [1] * values.ndim
    shape[axis] = -1
    return np.asarray(numbers, np.float64).reshape(shape)
