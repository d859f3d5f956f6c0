"""Refit one output group's weights to what the activation, and the gate, let through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spconvify.weights.gate import Gate, split_output
from spconvify.weights.gram import Moments, retargeted
from spconvify.weights.image_means import ImageMeans
from spconvify.weights.observations import Part
from spconvify.weights.output_path import OutputPath

# A step of a majorise-minimise scheme may be prolonged up to twice; this halves the rounds.
_STEP = 1.5


@dataclass(frozen=True)
class GroupFit:
    """Weights (F, L) and bias (L,) of one output group, and the energies behind the activation.

    `objective` is what was to be small: `missed` per row, and the images' means on top.
    """

    weights: np.ndarray
    bias: np.ndarray
    objective: float
    missed: float
    power: float
    gate: Gate | None


class GroupRefinement:
    """The least-squares problem of one output group, with targets that move.

    Args:
        parts: its features and outputs only.
        moments: of these, for the targets "the original's output exactly".
        inverse: of the moments' loaded Gram matrix.
        path: behind these outputs.
        uncertain: for fusion "gap", columns of the uncertain channels' pooled features.
    """

    def __init__(
        self,
        parts: list[Part],
        moments: Moments,
        inverse: np.ndarray,
        path: OutputPath,
        uncertain: np.ndarray | None,
    ):
        self._parts, self._moments, self._inverse, self._path = parts, moments, inverse, path
        self._uncertain = uncertain
        self._means = ImageMeans(parts, moments)

    def best(self, rounds: int) -> GroupFit:
        """Solve, then move the targets and solve again; a round that doesn't help halves the step."""
        best, linear, residual = self._examine(*self._solve(self._moments))
        if not self._path.clips and self._uncertain is None:
            return best
        step = _STEP if self._uncertain is None else 1.0
        for _ in range(rounds):
            targets = [plain + np.float32(step) * rest for plain, rest in zip(linear, residual)]
            moments = retargeted(self._moments, zip((p.features for p in self._parts), targets))
            moments = self._means.with_targets(moments, targets)
            current, *rest = self._examine(*self._solve(moments))
            if current.objective < best.objective:
                best, (linear, residual) = current, rest
            else:
                step /= 2
        return best

    def _solve(self, moments: Moments) -> tuple[np.ndarray, np.ndarray]:
        weights = self._inverse @ moments.cross
        return weights, moments.target_mean - moments.feature_mean @ weights

    def _examine(self, weights: np.ndarray, bias: np.ndarray):
        """The error of a solution behind the activation; the linear layer's output, and what would
        have to be added to it, part by part."""
        linear, output, gate = self._outputs(weights.astype(np.float32), bias)
        total, square, rows, errors, residual = 0.0, 0.0, 0, [], []
        for part, given in zip(self._parts, output):
            value = self._path.outward(given, part.shortcut)
            seen = self._path.seen(part.wanted)
            errors.append(seen - self._path.seen(value))
            total = total + seen.sum(0, dtype=np.float64)
            square = square + np.square(seen, dtype=np.float64).sum(0)
            rows += len(seen)
            target = self._path.inward(self._path.good_enough(part.wanted, value), part.shortcut)
            residual.append(target - given)
        missed = sum(float(np.square(error, dtype=np.float64).sum()) for error in errors)
        objective = missed / rows + self._means.energy(errors)
        power = float(np.sum(square - total**2 / rows))
        return GroupFit(weights, bias, objective, missed, power, gate), linear, residual

    def _outputs(self, weights: np.ndarray, bias: np.ndarray):
        """Part by part: the linear layer's output, the layer's output; and the gate, if there is one."""
        if self._uncertain is None:
            linear = [part.features @ weights + bias.astype(np.float32) for part in self._parts]
            return linear, linear, None
        splits = [split_output(part, weights, self._uncertain) for part in self._parts]
        gate = Gate.balanced([halves for halves, _ in splits], bias)
        linear = [half3 + half1 + bias.astype(np.float32) for (half3, half1), _ in splits]
        fused = [gate.fuse(rows, means, p.image) for (rows, means), p in zip(splits, self._parts)]
        return linear, fused, gate
