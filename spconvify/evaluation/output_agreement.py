"""How far one output of a converted network still is the original's: figures, and words for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

from spconvify.evaluation.kinds import KINDS
from spconvify.evaluation.tallies import NO_MASK, NOT_A_NUMBER

POOR_SAME = 75.0  # per cent; below, a network hardly does what it did
POOR_ERROR = 0.3  # of the variance
EMPTY = "it is empty"  # in both networks, as a detector's boxes where it finds nothing
NO_TENSOR = "nothing is known, since it returns no tensor to compare"
_SAME = {
    "classes": "same top-1",
    "steps": "same class of a step",
    "map": "same class of a pixel",
    "labels": "equal values",
}


@dataclass
class OutputAgreement:
    """One output of both networks, and the figures that its kind has; `same` and `iou` in per cent.

    Classes, steps, maps and labels have `same`; maps have the mean `iou` of their classes, with the
    original's map as the truth, and masks that of where they are at least a half. Images and values have
    `error`, the share of the output's variance that is missed, `l2`, the difference's norm over that of
    the original's output, and `psnr` in dB, whose peak is the original's range; all three are None where
    the converted network's output isn't finite. `problem` says why nothing could be compared.
    """

    name: str
    kind: str
    same: Optional[float] = None
    error: Optional[float] = None
    psnr: Optional[float] = None
    problem: str = ""
    iou: Optional[float] = None
    l2: Optional[float] = None

    @property
    def poor(self) -> bool:
        """Whether the converted network is no longer what it was."""
        if self.problem:
            return not self.unknown
        share = self.iou if self.same is None else self.same
        if share is not None:
            return share < POOR_SAME
        return self.error is None or self.error > POOR_ERROR

    @property
    def unknown(self) -> bool:
        """Whether there was nothing to compare, which says nothing about the converted network."""
        return self.problem in (EMPTY, NO_TENSOR, NO_MASK, NOT_A_NUMBER)

    @property
    def points_lost(self) -> float:
        """See `Agreement.points_lost`."""
        if self.problem:
            return 0.0 if self.unknown else 100.0
        share = self.iou if self.same is None else self.same
        if share is not None:
            return 100.0 - share
        return 100.0 if self.error is None else 100.0 * min(1.0, self.error)

    @property
    def text(self) -> str:
        """The figures and what they are of, without the images."""
        prefix = f"{self.name}: " if self.name else ""
        if self.problem:
            return prefix + self.problem
        # Of classes the words themselves say what was judged.
        kind = "" if self.kind == "classes" else f" ({KINDS[self.kind]})"
        return f"{prefix}{', '.join(self._figures()) or 'not finite'}{kind}"

    def _figures(self) -> Iterable[str]:
        if self.same is not None:
            yield f"{self.same:.2f} % {_SAME[self.kind]}"
        if self.iou is not None:
            yield f"{'mask' if self.kind == 'mask' else 'mean'} IoU {self.iou:.2f} %"
        if self.error is not None:
            yield f"relative error {self.error:.3g} of the variance"
        if self.l2 is not None:
            yield f"{self.l2:.3g} in L2"
        if self.psnr is not None:
            yield f"PSNR {self.psnr:.1f} dB"

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**vars(self), "text": self.text}
