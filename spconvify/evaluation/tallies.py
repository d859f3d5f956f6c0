"""What the comparison of one output adds up to, batch by batch: a class for each way to compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np

from spconvify.evaluation.kinds import probabilities, shared_out

NOT_A_NUMBER = "the original's own is not a number"
NOT_PROBABILITIES = "the original's values aren't all between 0 and 1"
NO_MASK = "no value of the original's mask is above a half"  # nor of the converted network's
_DECIDED = 0.75  # of the probabilities of a mask are within 0.1 of 0 or 1


@dataclass
class Figures:
    """What was found; `same` and `iou` in per cent. See `OutputAgreement`."""

    same: Optional[float] = None
    iou: Optional[float] = None
    error: Optional[float] = None
    l2: Optional[float] = None
    psnr: Optional[float] = None
    problem: str = ""


class Equal:
    """Whole numbers: how many are the same."""

    proven = True  # that the output is of this kind

    def __init__(self) -> None:
        self._same = self._of = 0

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Take a batch in."""
        self._same += int((before == after).sum())
        self._of += before.size

    def figures(self) -> Figures:
        """Share of equal numbers."""
        return Figures(same=100.0 * self._same / self._of)


class LargestClass:
    """Scores of classes along an axis: how often the largest is that of the same class.

    Also the mean over classes of the intersection over union of the places where they are the largest;
    over those classes that are the largest anywhere in one of both. `proven` where the original's
    scores are shares of one.
    """

    def __init__(self, axis: int, with_iou: bool = False):
        self._axis, self._with_iou = axis, with_iou
        self.proven = True
        self._same = self._of = 0
        self._both = self._before = self._after = np.zeros(0, np.int64)  # places of each class
        self._problem = ""

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Take a batch in."""
        self.proven = self.proven and shared_out(before, self._axis)
        if np.isnan(before).any():
            self._problem = NOT_A_NUMBER
        classes, own = before.argmax(self._axis), after.argmax(self._axis)
        numbers = ~np.isnan(after).any(self._axis)  # else the argmax is the NaN
        same = (classes == own) & numbers
        self._same += int(same.sum())
        self._of += same.size
        if self._with_iou:
            count = before.shape[self._axis]
            self._both = _more(self._both, classes[same], count)
            self._before = _more(self._before, classes, count)
            self._after = _more(self._after, own[numbers], count)

    def figures(self) -> Figures:
        """Share of the same class, and the mean IoU."""
        if self._problem:
            return Figures(problem=self._problem)
        found = Figures(same=100.0 * self._same / self._of)
        if self._with_iou:
            found.iou = _mean_iou(self._both, self._before + self._after - self._both)
        return found


def _more(counts: np.ndarray, classes: np.ndarray, number: int) -> np.ndarray:
    number = max(number, len(counts))
    return np.pad(counts, (0, number - len(counts))) + np.bincount(classes.ravel(), minlength=number)


def _mean_iou(both: np.ndarray, either: np.ndarray) -> float:
    there = either > 0
    return float(100.0 * (both[there] / either[there]).mean())


class Masks:
    """Probabilities: intersection over union of where they are at least a half, mean over the channels.

    `proven` where all of the original's are between 0 and 1, most are near 0 or near 1, some are at
    least a half, and those of several channels aren't shares of one.
    """

    def __init__(self, axis: int | None):
        self._axis = axis  # of the channels; None if there are none
        self._both: np.ndarray = np.zeros(0, np.int64)
        self._either: np.ndarray = np.zeros(0, np.int64)
        self._decided = self._of = self._above = 0
        self._shares = axis is not None
        self._problem = ""

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Take a batch in."""
        if not self._problem and not probabilities(before):
            self._problem = NOT_A_NUMBER if np.isnan(before).any() else NOT_PROBABILITIES
        if self._problem:
            return
        if self._axis is not None:
            self._shares = self._shares and shared_out(before, self._axis)
        self._decided += int((np.abs(before - 0.5) > 0.4).sum())
        self._of += before.size
        undefined = np.isnan(after)
        mask, own = before >= 0.5, (after >= 0.5) | undefined
        self._above += int(mask.sum())
        other_axes = tuple(axis for axis in range(before.ndim) if axis != self._axis)
        both, either = (mask & own & ~undefined).sum(other_axes), (mask | own).sum(other_axes)
        self._both, self._either = (
            np.atleast_1d(sums) + (total if total.size else 0)
            for sums, total in ((both, self._both), (either, self._either))
        )

    @property
    def proven(self) -> bool:
        """See the class."""
        decided = self._of > 0 and self._decided >= _DECIDED * self._of
        return not self._problem and decided and self._above > 0 and not self._shares

    def figures(self) -> Figures:
        """The IoU, and whether there was a mask at all."""
        if self._problem or not self._either.any():
            return Figures(problem=self._problem or NO_MASK)
        return Figures(iou=_mean_iou(self._both, self._either))


class Distance:
    """Numbers: how large the difference is.

    `error` is the share of the output's variance that is missed, `l2` the norm of the difference over
    that of the original's output, and `psnr` in dB; its peak is the original's range, from its lowest
    to its highest value on all images.
    """

    proven = True

    def __init__(self) -> None:
        self._of = 0
        self._missed = self._sum = self._square = self._norm = 0.0
        self._low, self._high = math.inf, -math.inf
        self._origin: float | None = None  # sums are about it, or a large mean would eat the digits

    def add(self, before: np.ndarray, after: np.ndarray) -> None:
        """Take a batch in."""
        before, after = _real(before), _real(after)
        finite = np.isfinite(before)  # an infinity of the original has to be there again
        if not np.array_equal(before[~finite], after[~finite], equal_nan=True):
            self._missed = math.inf
        if self._origin is None and finite.any():
            self._origin = float(before[finite].mean())
        before, after = before[finite], after[finite]
        self._missed += float(np.square(before - after).sum())
        self._of += before.size
        self._sum += float((before - (self._origin or 0.0)).sum())
        self._square += float(np.square(before - (self._origin or 0.0)).sum())
        self._norm += float(np.square(before).sum())
        self._low = min(self._low, float(before.min(initial=math.inf)))
        self._high = max(self._high, float(before.max(initial=-math.inf)))

    def figures(self) -> Figures:
        """Both errors and the PSNR; none of them where the converted network's output isn't finite."""
        found = Figures()
        if not self._of:
            return Figures(problem=NOT_A_NUMBER)
        if not math.isfinite(self._missed):
            return found
        largest = max(abs(self._low), abs(self._high))
        rounding = 1e-6 * largest  # an output may be all but constant
        power = self._square - self._sum**2 / self._of
        if power <= self._of * rounding**2:  # then the output's size has to do, for want of a variance
            power = self._of * largest**2
        found.error = self._missed / power if power > 0 else float(self._missed > 0)
        found.l2 = math.sqrt(self._missed / self._norm) if self._norm > 0 else float(self._missed > 0)
        span = self._high - self._low
        if self._missed > 0 and span > 0:
            found.psnr = 10.0 * math.log10(span**2 * self._of / self._missed)
        return found


def _real(value: np.ndarray) -> np.ndarray:
    """In float64; complex numbers as pairs."""
    if value.dtype.kind == "c":
        value = np.stack([value.real, value.imag], -1)
    return value.astype(np.float64)
