"""How far a converted network still does what the original one does: their outputs, without labels."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.comparable import Comparable
from spconvify.network.outputs import Frame
from spconvify.network.run import trying

POOR_SAME = 75.0  # per cent; below, a network hardly does what it did
POOR_ERROR = 0.3  # of the variance
_EMPTY = "it is empty"  # in both networks, as a detector's boxes where it finds nothing
_NO_TENSOR = "nothing is known, since it returns no tensor to compare"
_WORDS = {
    "classes": "same top-1",
    "map": "same class of a pixel",
    "labels": "equal values",
    "image": "relative error",
    "values": "relative error",
}


@dataclass
class OutputAgreement:
    """One output of both networks: `same` in per cent for classes, maps and labels, else `error`.

    `error` is the share of the output's variance that is missed, `psnr` (of images) is in dB; both are
    None where the converted network's output isn't finite. `problem` says why nothing could be compared.
    """

    name: str
    kind: str
    same: Optional[float] = None
    error: Optional[float] = None
    psnr: Optional[float] = None
    problem: str = ""

    @property
    def poor(self) -> bool:
        """Whether the converted network is no longer what it was."""
        if self.problem:
            return not self.unknown
        if self.same is not None:
            return self.same < POOR_SAME
        return self.error is None or self.error > POOR_ERROR

    @property
    def unknown(self) -> bool:
        """Whether there was nothing to compare, which says nothing about the converted network."""
        return self.problem in (_EMPTY, _NO_TENSOR)

    @property
    def text(self) -> str:
        """The figure and what it counts, without the images."""
        prefix = f"{self.name}: " if self.name else ""
        if self.problem:
            return prefix + self.problem
        if self.same is not None:
            return f"{prefix}{self.same:.2f} % {_WORDS[self.kind]}"
        if self.error is None:
            return f"{prefix}not finite"
        psnr = f" (PSNR {self.psnr:.1f} dB)" if self.psnr is not None else ""
        return f"{prefix}{_WORDS[self.kind]} {self.error:.3g}{psnr}"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**vars(self), "text": self.text}


@dataclass
class Agreement:
    """Every output of two networks compared on `images` images; `where` says which these are."""

    outputs: list[OutputAgreement]
    images: int
    where: str

    @property
    def poor(self) -> bool:
        """Whether an output is no longer what it was."""
        return any(output.poor for output in self.outputs)

    @property
    def unknown(self) -> bool:
        """Whether nothing at all could be compared."""
        return all(output.unknown for output in self.outputs)

    @property
    def lines(self) -> list[str]:
        """A line for every output."""
        count = f"{self.images} image" + ("s" if self.images != 1 else "")
        return [
            f"Agreement with the original: {output.text} on {count} {self.where}".rstrip()
            for output in self.outputs
        ]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "images": self.images,
            "where": self.where,
            "outputs": [output.to_dict() for output in self.outputs],
        }


def agreement(
    original: nn.Layer, converted: nn.Layer, batches: Iterable[np.ndarray], where: str = ""
) -> Agreement:
    """Run both networks, in eval mode, on the same images (N, C, H, W) and compare their outputs.

    Where the images decide how many rows an output has, as of a detector's boxes, the maps that these
    are chosen from count in its place: see `spconvify.network.heads`.

    Args:
        original: the network before the conversion.
        converted: the network after it.
        batches: float arrays.
        where: which images these are, for the text: "left out of the fit".

    Raises:
        ArgumentError: if a network doesn't run on the images, or there is none.
    """
    tallies: dict[str, _Tally] = {}
    images, outputs = 0, Comparable(original, converted)
    with trying(original), trying(converted):
        for batch in filter(len, batches):
            images += len(batch)
            before, after = outputs(batch)
            for name, value in before.items():
                if name not in tallies:
                    kind = "values" if name in outputs.maps else None
                    tallies[name] = _Tally(name, value, Frame.of(original, batch.shape), kind)
                tallies[name].add(value, after.get(name))
    if not images:
        raise ArgumentError("there are no images to compare the networks on")
    nothing = [OutputAgreement("", "values", problem=_NO_TENSOR)]
    return Agreement([tally.result() for tally in tallies.values()] or nothing, images, where)


def _real(value: np.ndarray) -> np.ndarray:
    """In float64; complex numbers as pairs."""
    if value.dtype.kind == "c":
        value = np.stack([value.real, value.imag], -1)
    return value.astype(np.float64)


class _Tally:
    """What an output's comparison adds up to, batch by batch."""

    def __init__(self, name: str, value: np.ndarray, frame: Frame, kind: str | None = None):
        self._name, self._axis = name, frame.class_axis(value.shape)
        self._kind: str = frame.kind_of(value.shape) if value.dtype.kind in "fc" else "labels"
        self._kind = kind or self._kind
        if value.dtype.kind == "c":
            self._kind = "values"  # which have no largest one
        self._same = self._of = 0
        self._missed = self._sum = self._square = 0.0
        self._low, self._high = math.inf, -math.inf
        self._origin: float | None = None  # sums are about it, or a large mean would eat the digits
        self._problem = ""

    def add(self, before: np.ndarray, after: np.ndarray | None) -> None:
        """Take a batch of the output of both networks in."""
        if self._problem:
            return
        if after is None:
            self._problem = "the converted network doesn't return it"
        elif before.shape != after.shape:
            self._problem = f"its shape is {after.shape} instead of {before.shape}"
        if after is None or self._problem:
            return
        if self._kind in ("image", "values"):
            self._add_values(_real(before), _real(after))
            return
        same = before == after
        if self._kind != "labels":
            if np.isnan(before).any():
                self._problem = "the original's own is not a number"
            same = before.argmax(self._axis) == after.argmax(self._axis)
            same &= ~np.isnan(after).any(self._axis)  # whose argmax is the NaN
        self._same += int(same.sum())
        self._of += same.size

    def _add_values(self, before: np.ndarray, after: np.ndarray) -> None:
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
        self._low = min(self._low, float(before.min(initial=math.inf)))
        self._high = max(self._high, float(before.max(initial=-math.inf)))

    def result(self) -> OutputAgreement:
        """The figure."""
        found = OutputAgreement(self._name, self._kind, problem=self._problem)
        if self._problem or not self._of:
            found.problem = self._problem or _EMPTY
        elif self._kind not in ("image", "values"):
            found.same = 100.0 * self._same / self._of
        elif math.isfinite(self._missed):
            self._add_errors(found)
        return found

    def _add_errors(self, found: OutputAgreement) -> None:
        span = self._high - self._low
        rounding = 1e-6 * max(abs(self._low), abs(self._high))  # an output may be all but constant
        power = self._square - self._sum**2 / self._of
        if power <= self._of * rounding**2:  # then the output's size has to do, for want of a variance
            power = self._of * max(abs(self._low), abs(self._high)) ** 2
        found.error = self._missed / power if power > 0 else float(self._missed > 0)
        if self._kind == "image" and self._missed > 0 and span > 0:
            found.psnr = 10.0 * math.log10(span**2 * self._of / self._missed)
