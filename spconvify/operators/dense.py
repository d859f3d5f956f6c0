"""Fit a dense convolution anew: to what the changed layers before it feed it, or with fewer inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from spconvify.calibration.observations import Observations
from spconvify.calibration.task import LayerFit, Task, Unfitted
from spconvify.calibration.windows import Windows
from spconvify.network.norms import set_value, to_float64
from spconvify.operators.fitting import check_usable, write_finite
from spconvify.operators.spconv.refine import GroupFit, judge
from spconvify.operators.spconv.trial import Trial, fit_group, moments_of


def fit_dense(task: Task) -> LayerFit:
    """Fit the plain convolution `task.layer`, and write its weights.

    The same least squares as for an operator's layers: to what the original has behind BatchNorm,
    shortcut and activation, with the original's weights as what a ridge pulls towards. An intercept goes
    into the convolution's bias, or into the mean of the BatchNorm behind it.

    Raises:
        Unfitted: if it has to keep the weights that it has.
    """
    return _DenseFitter(task).fit()


class _DenseFitter:
    def __init__(self, task: Task):
        self._task = task
        self._conv: Any = task.layer
        self._few = ""

    def fit(self) -> LayerFit:
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                error = self._fit()
        except np.linalg.LinAlgError as reason:
            raise Unfitted(f"its weights can't be determined ({reason})", few=self._few) from reason
        except Unfitted as reason:
            reason.few = self._few
            raise
        return LayerFit(error, self._few)

    def _fit(self) -> float:
        task = self._task
        observations = Observations(Windows.of(self._conv), task.images.count, task.path)
        for wanted, current in task.rows_by_batch():
            observations.take(wanted, current)
        check_usable(observations)
        kernel, bias = task.dense()
        prior = kernel.reshape(len(kernel), -1).T.astype(np.float64)
        if observations.rows < 2 * len(prior):
            self._few = f"{observations.rows} positions for {len(prior)} weights per output"
        fit, tried = self._solved(observations, prior)
        if tried is not None:
            self._check_better(observations, tried, prior, bias)
        self._write(fit)
        error = fit.judged.score.error
        return error + max(0.0, tried.left_out.error - tried.fitted.error) if tried else error

    def _solved(self, observations: Observations, prior: np.ndarray) -> tuple[GroupFit, Trial | None]:
        parts, path, effort = observations.parts, observations.path, self._task.effort
        return fit_group(
            parts,
            moments_of(parts, path, intercept=self._has_intercept),
            path,
            prior,
            intercept=self._has_intercept,
            rounds=effort.rounds,
            with_trial=effort.tries(observations.rows, len(prior)),
        )

    def _check_better(
        self, observations: Observations, tried: Trial, prior: np.ndarray, bias: np.ndarray
    ) -> None:
        """Refuse a fit that does worse than the weights as they are on rows that it hasn't seen."""
        others = [part for part in observations.parts if part.left_out]
        kept = judge(others, observations.path, prior, bias).score
        if not tried.left_out.missed <= kept.missed:
            raise Unfitted(
                f"on positions left out of the fit its error would be {tried.left_out.error:.2f}, that "
                f"of the weights as they are is {kept.error:.2f}; give more calibration images",
                kept.error,
            )

    @property
    def _has_intercept(self) -> bool:
        return self._conv.bias is not None or self._task.norm is not None

    def _write(self, fit: GroupFit) -> None:
        """Assign the weights; what isn't finite in the layer's own dtype is taken back."""
        conv, norm = self._conv, self._task.norm

        def write() -> None:
            set_value(conv.weight, fit.weights.T.reshape(conv.weight.shape))
            if conv.bias is not None:
                set_value(conv.bias, fit.bias)

        write_finite(conv, write)
        if conv.bias is None and norm is not None:
            set_value(norm._mean, self._mean() - fit.bias)

    def _mean(self) -> np.ndarray:
        """The mean that the original's BatchNorm takes off."""
        original: Any = self._task.calls.tail.norm
        mean = to_float64(original._mean)
        own = self._task.kept.outputs
        return mean if own is None else mean[list(own)]
