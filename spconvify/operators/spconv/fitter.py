"""One layer of a calibration: observe, fit, check against the copied weights, write."""

from __future__ import annotations

import numpy as np
from paddle import nn

from spconvify.calibration.capture import capture
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.moments import Geometry
from spconvify.calibration.observations import Observations
from spconvify.calibration.trace import Calls
from spconvify.network.finite import not_finite
from spconvify.network.placement import as_input
from spconvify.operators.spconv.assign import assign_fit
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.prior import judge_copy
from spconvify.operators.spconv.reconstruct import Reconstruction, Request, reconstruct


class Unfitted(Exception):
    """Why a layer keeps the copied weights, and their error on positions that were left out."""

    def __init__(self, reason: str, error: float | None = None):
        super().__init__(reason)
        self.error = error


class Fitter:
    """One layer: the original convolution, its replacement, and the networks around them."""

    def __init__(
        self, original: nn.Layer, converted: nn.Layer, conv: nn.Layer, spconv: SPConv2D, calls: Calls
    ):
        self._networks = ((original, conv), (converted, spconv))
        self._conv, self._spconv, self._calls = conv, spconv, calls
        self.few = ""  # how few positions there are, where they don't determine the weights

    def fit(self, images: CalibrationImages, seed: int) -> float:
        """Observe, fit and write the weights; return the error to expect on other images.

        Raises:
            Unfitted: if the copied weights have to stay.
        """
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            observations = self._observe(images, seed)
            _check_usable(observations)
            self._count(observations)
            kernel, bias = self._dense()
            try:
                found = reconstruct(observations, self._request(), kernel)
            except np.linalg.LinAlgError as error:
                raise Unfitted(f"its weights can't be determined ({error})") from error
            self._check_better(found, observations, kernel, bias)
        self._write(found)
        return found.error

    def _observe(self, images: CalibrationImages, seed: int) -> Observations:
        spconv = self._spconv
        padding_mode = spconv.gwc._padding_mode
        geometry = Geometry(spconv.stride, spconv.padding, spconv.dilation, padding_mode)
        observations = Observations(
            geometry,
            images.count,
            self._calls.tail.path(spconv.out_channels),
            calls=self._calls.number,
            seed=seed,
            image_means=spconv.fusion == "gap",
        )
        for batch in images:
            observations.add(*(self._capture(model, layer, batch) for model, layer in self._networks))
        return observations

    def _dense(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel (L, C, 3, 3) and bias (L,) of the convolution that was replaced."""
        kernel = self._conv.weight.astype("float32").numpy()
        if self._conv.bias is None:
            return kernel, np.zeros(len(kernel), np.float32)
        return kernel, self._conv.bias.astype("float32").numpy()

    def _count(self, observations: Observations) -> None:
        spconv = self._spconv
        unknowns = spconv.representative // spconv.groups * 9 + spconv.in_channels
        if observations.rows < 2 * unknowns:
            self.few = f"{observations.rows} positions for {unknowns} weights per output"

    def _check_better(
        self, found: Reconstruction, observations: Observations, kernel: np.ndarray, bias: np.ndarray
    ) -> None:
        """Refuse a fit that does worse than the copied weights on rows that it hasn't seen."""
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
        before = {key: value.clone() for key, value in self._spconv.state_dict().items()}
        assign_fit(self._spconv, found.fit, found.gate)
        bad = not_finite(self._spconv)
        if bad:
            self._spconv.set_state_dict(before)
            raise Unfitted(f"its fitted {bad[0]!r} would not be finite")

    def _capture(self, model: nn.Layer, layer: nn.Layer, batch: np.ndarray):
        channels_last = self._spconv.data_format == "NHWC"
        return capture(model, layer, self._calls, as_input(model, batch), channels_last)

    def _request(self) -> Request:
        spconv = self._spconv
        gap = spconv.fusion == "gap"
        return Request(
            groups=spconv.groups,
            per_group=spconv.representative // spconv.groups,
            gap=gap,
            intercept=gap or spconv.conv1x1.bias is not None,
        )


def _check_usable(observations: Observations) -> None:
    if not observations.finite:
        raise Unfitted("what goes through it on the calibration images isn't finite")
    if not observations.varies:
        raise Unfitted("its input never changes on the calibration images")
