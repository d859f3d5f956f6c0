"""Fit one SPConv to calibration images: observe, fit, check against the copied weights, write."""

from __future__ import annotations

from typing import Any

import numpy as np

from spconvify.calibration.moments import Geometry
from spconvify.calibration.observations import Observations
from spconvify.calibration.task import LayerFit, Task, Unfitted
from spconvify.operators.fitting import check_usable, write_finite
from spconvify.operators.spconv.assign import assign_fit
from spconvify.operators.spconv.prior import judge_copy
from spconvify.operators.spconv.reconstruct import Reconstruction, Request, reconstruct


class Fitter:
    """One layer of a calibration."""

    def __init__(self, task: Task):
        self._task = task
        self._spconv: Any = task.layer

    def fit(self) -> LayerFit:
        """Observe, fit and write the weights.

        Raises:
            Unfitted: if the copied weights have to stay.
        """
        few = ""
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                observations = self._observe()
                check_usable(observations)
                few = self._how_few(observations)
                kernel, bias = self._task.dense()
                try:
                    found = reconstruct(observations, self._request(observations.rows), kernel)
                except np.linalg.LinAlgError as error:
                    raise Unfitted(f"its weights can't be determined ({error})") from error
                self._check_better(found, observations, kernel, bias)
                self._write(found)
        except Unfitted as reason:
            reason.few = few
            raise
        return LayerFit(found.error, few)

    def _observe(self) -> Observations:
        spconv, task = self._spconv, self._task
        padding_mode = spconv.gwc._padding_mode
        observations = Observations(
            Geometry(spconv.stride, spconv.padding, spconv.dilation, padding_mode),
            task.images.count,
            task.path,
            image_means=spconv.fusion == "gap",
        )
        for wanted, current in task.rows_by_batch():
            observations.take(wanted, current)
        return observations

    def _how_few(self, observations: Observations) -> str:
        if observations.rows >= 2 * self._unknowns:
            return ""
        return f"{observations.rows} positions for {self._unknowns} weights per output"

    @property
    def _unknowns(self) -> int:
        """Weights of an output."""
        spconv = self._spconv
        return int(spconv.representative // spconv.groups * 9 + spconv.in_channels)

    def _check_better(
        self, found: Reconstruction, observations: Observations, kernel: np.ndarray, bias: np.ndarray
    ) -> None:
        """Refuse a fit that does worse than the copied weights on rows that it hasn't seen."""
        if not self._task.effort.tries(observations.rows, self._unknowns):
            return
        if not found.trials:
            raise Unfitted("a single position can't be divided into one to fit and one to check")
        copied = judge_copy(observations, kernel, bias, self._spconv)
        if not found.left_out.missed <= copied.missed:
            raise Unfitted(
                f"on positions left out of the fit its error would be {found.left_out.error:.2f}, that "
                f"of the copied weights is {copied.error:.2f}; give more calibration images",
                copied.error,
            )

    def _write(self, found: Reconstruction) -> None:
        """Assign the weights; what isn't finite in the layer's own dtype is taken back."""
        write_finite(self._spconv, lambda: assign_fit(self._spconv, found.fit, found.gate))

    def _request(self, rows: int) -> Request:
        spconv = self._spconv
        gap = spconv.fusion == "gap"
        return Request(
            groups=spconv.groups,
            per_group=spconv.representative // spconv.groups,
            gap=gap,
            proposals=self._task.effort.proposals,
            rounds=self._task.effort.rounds,
            trial=self._task.effort.tries(rows, self._unknowns),
            intercept=gap or spconv.conv1x1.bias is not None,
        )
