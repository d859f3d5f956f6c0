"""Fusion "gap": constants of its two BatchNorms, and what the gate makes of a linear fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spconvify.weights.observations import Observations, Part
from spconvify.weights.solve import Fit


@dataclass(frozen=True)
class Gate:
    """Statistics of both halves of a fitted layer, (L,) each, and the level that both are set to.

    Both BatchNorms bring their half to twice its deviation from its mean, plus `level`: then the two
    average to the linear layer where the gate is 1/2, and the gate's mean logit is 0.
    """

    mean3: np.ndarray
    mean1: np.ndarray
    variance3: np.ndarray
    variance1: np.ndarray
    level: np.ndarray

    @classmethod
    def balanced(cls, fit: Fit, data: Observations) -> Gate:
        """The constants for a fit, from the rows that it was made on."""
        rows, sums = 0, [0.0] * 4
        for part in data.parts:
            halves = _halves(fit, part.features)
            sums = [
                total + value.sum(0, dtype=np.float64)
                for total, value in zip(sums, (*halves, *map(np.square, halves)))
            ]
            rows += len(part.features)
        mean3, mean1, square3, square1 = (np.asarray(total) / rows for total in sums)
        level = fit.bias + mean3 + mean1
        return cls(
            mean3,
            mean1,
            np.maximum(square3 - mean3**2, 0.0),
            np.maximum(square1 - mean1**2, 0.0),
            level,
        )

    def outputs(self, fit: Fit, part: Part) -> np.ndarray:
        """What the layer with fusion "gap" gives on the rows of a part."""
        assert part.means is not None
        mean3, mean1, level = (a.astype(np.float32) for a in (self.mean3, self.mean1, self.level))
        average3, average1 = _halves(fit, part.means)
        logit = 2 * (average3 - mean3) - 2 * (average1 - mean1)
        gate = (1 / (1 + np.exp(-logit)))[part.image]
        half3, half1 = _halves(fit, part.features)
        return level + 2 * (gate * (half3 - mean3) + (1 - gate) * (half1 - mean1))


def _halves(fit: Fit, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The representative and the uncertain channels' shares of the output, without the bias."""
    uncertain = fit.uncertain_columns
    rest = features[:, uncertain] @ fit.matrix[uncertain]
    return features @ fit.matrix - rest, rest
