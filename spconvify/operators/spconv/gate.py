"""Fusion "gap": constants of its two BatchNorms, and what its gate makes of a linear fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass

import numpy as np

from spconvify.calibration.observations import Part


@dataclass(frozen=True)
class Gate:
    """Statistics of both halves of a layer (3x3 and 1x1), (L,) each, and the level of their sum.

    Both BatchNorms bring their half to twice its deviation from its mean, plus `level`: then the two
    average to the linear layer where the gate is 1/2, and the gate's mean logit is 0.
    """

    mean3: np.ndarray
    mean1: np.ndarray
    variance3: np.ndarray
    variance1: np.ndarray
    level: np.ndarray

    @classmethod
    def balanced(cls, halves: Sequence[tuple[np.ndarray, np.ndarray]], bias: np.ndarray) -> Gate:
        """The constants for the outputs of both halves, given part by part as (rows, L)."""
        rows = sum(len(half3) for half3, _ in halves)
        sums = np.zeros((4, len(bias)))
        for half3, half1 in halves:
            for index, value in enumerate((half3, half1, np.square(half3), np.square(half1))):
                sums[index] += value.sum(0, dtype=np.float64)
        mean3, mean1, square3, square1 = sums / rows
        variances = [
            np.maximum(square - mean**2, 0) for square, mean in ((square3, mean3), (square1, mean1))
        ]
        return cls(mean3, mean1, variances[0], variances[1], bias + mean3 + mean1)

    @classmethod
    def joined(cls, gates: Sequence[Gate]) -> Gate:
        """The constants of all output groups from those of each."""
        return cls(*map(np.concatenate, zip(*map(astuple, gates))))

    def fuse(
        self,
        halves: tuple[np.ndarray, np.ndarray],
        averages: tuple[np.ndarray, np.ndarray],
        image: np.ndarray,
    ) -> np.ndarray:
        """What the layer gives: (rows, L) from both halves, their averages over every image (N, L),
        and the image of every row."""
        mean3, mean1, level = (a.astype(np.float32) for a in (self.mean3, self.mean1, self.level))
        logit = 2 * (averages[0] - mean3) - 2 * (averages[1] - mean1)
        gate = (1 / (1 + np.exp(-logit)))[image]
        return level + 2 * (gate * (halves[0] - mean3) + (1 - gate) * (halves[1] - mean1))


def split_output(part: Part, weights: np.ndarray, uncertain: np.ndarray):
    """((3x3, 1x1) halves of a part's rows, the same of its images' means), without the bias.

    `uncertain` are the columns of the uncertain channels' pooled features.
    """

    def halves(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rest = features[:, uncertain] @ weights[uncertain]
        return features @ weights - rest, rest

    assert part.means is not None
    return halves(part.features), halves(part.means)
