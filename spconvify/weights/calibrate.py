"""init="lstsq": fit every SPConv to calibration images, layer by layer, without training."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional

import numpy as np
import paddle
from paddle import nn

from spconvify.failures import does_not_run
from spconvify.sites import find_sites
from spconvify.spconv import SPConv2D
from spconvify.verify import evaluating
from spconvify.weights.assign import assign_fit
from spconvify.weights.capture import capture
from spconvify.weights.gram import Geometry
from spconvify.weights.images import CalibrationImages
from spconvify.weights.observations import Observations
from spconvify.weights.reconstruct import Request, reconstruct
from spconvify.weights.trace import Calls, trace

# name of the layer that comes next, layers done, layers in all; at the end: "", all, all
Progress = Callable[[str, int, int], None]


class CalibrationWarning(UserWarning):
    """The calibration went on, but not everywhere as well as it could."""


def calibrate(
    original: nn.Layer,
    replacements: Mapping[str, SPConv2D],
    converted: nn.Layer,
    batches: Iterable[Any],
    *,
    seed: int = 0,
    progress: Optional[Progress] = None,
) -> dict[str, float]:
    """Give the SPConv2D layers of a converted network the weights that reproduce the original best.

    Sequential: each layer is fitted on what the already converted network feeds it, to what the
    original network has there, so that it makes up for the errors before it. A shortcut that is added
    behind the layer's BatchNorm is found from the operators that run, and the layer is fitted to
    the sum, less the drifted shortcut. A ReLU behind it is taken into account: negative values only
    have to stay negative. Each layer's channels are chosen anew (`SPConv2D.channels`). With fusion
    "gap" the same fit sets both BatchNorms so that the gate's mean is 1/2, and its rounds take back
    what the gate does. Every pass stops at the layer in question. Deterministic for a seed.

    Args:
        original: the dense network.
        replacements: site name -> the new layer, already in place in `converted`.
        converted: the network to fit, changed in place.
        batches: images, see `CalibrationImages`.
        seed: of the sample of positions on large maps.
        progress: called before every layer, and at the end.

    Returns:
        The relative reconstruction error of every layer that was fitted: the share of the variance
        of what the original network has there (behind BatchNorm, shortcut and ReLU) that is missed.

    Raises:
        ArgumentError: if the images can't be used, or the network doesn't run on them.

    Warns:
        CalibrationWarning: for layers that were never reached, or whose input never changes (both keep
            the weights they have), and where the images are too few to determine the weights.
    """
    images = CalibrationImages(batches)
    layers = {site.name: site.layer for site in find_sites(original) if site.name in replacements}
    errors: dict[str, float] = {}
    with evaluating(original), evaluating(converted), paddle.no_grad():
        calls = _trace(original, layers, _input(original, images.first()))
        for done, (name, use) in enumerate(calls.items()):
            if progress is not None:
                progress(name, done, len(calls))
            fitter = _Fitter(original, converted, layers[name], replacements[name], use)
            error = fitter.fit(name, images, seed)
            if error is not None:
                errors[name] = error
    if progress is not None:
        progress("", len(calls), len(calls))
    missing = [name for name in replacements if name not in calls]
    if missing:
        _warn(f"never reached by the calibration images, so not fitted: {', '.join(map(repr, missing))}")
    return errors


def _trace(original: nn.Layer, layers: Mapping[str, nn.Layer], image: paddle.Tensor) -> dict[str, Calls]:
    try:
        return trace(original, layers, image)
    except Exception as error:  # whatever the user's network raises
        remedy = "resize the calibration images to what it takes"
        raise does_not_run(image.shape, error, remedy) from error


def _input(model: nn.Layer, batch: np.ndarray) -> paddle.Tensor:
    """A batch in the dtype of the network's parameters."""
    parameters = model.parameters()
    tensor = paddle.to_tensor(batch)
    return tensor.astype(parameters[0].dtype) if parameters else tensor


class _Fitter:
    """One layer: the original convolution, its replacement, and the networks around them."""

    def __init__(
        self, original: nn.Layer, converted: nn.Layer, conv: nn.Layer, spconv: SPConv2D, calls: Calls
    ):
        self._networks = ((original, conv), (converted, spconv))
        self._spconv, self._calls = spconv, calls

    def fit(self, name: str, images: CalibrationImages, seed: int) -> float | None:
        """Observe, fit and write the weights; return the error, or None if nothing can be fitted."""
        observations = self._observe(images, seed)
        if not observations.rows:
            return None
        if not observations.varies:
            _warn(f"layer {name!r}: its input never changes on the calibration images, so not fitted")
            return None
        self._check_determined(name, observations)
        fit, gate = reconstruct(observations, self._request())
        assign_fit(self._spconv, fit, gate)
        return fit.error

    def _observe(self, images: CalibrationImages, seed: int) -> Observations:
        spconv = self._spconv
        padding_mode = spconv.gwc._padding_mode
        geometry = Geometry(spconv.stride, spconv.padding, spconv.dilation, padding_mode)
        observations = Observations(
            geometry,
            images.count * self._calls.number,
            self._calls.tail.path(spconv.out_channels),
            seed=seed,
            image_means=spconv.fusion == "gap",
        )
        for batch in images:
            observations.add(*(self._capture(model, layer, batch) for model, layer in self._networks))
        return observations

    def _capture(self, model: nn.Layer, layer: nn.Layer, batch: np.ndarray):
        channels_last = self._spconv.data_format == "NHWC"
        return capture(model, layer, self._calls, _input(model, batch), channels_last)

    def _request(self) -> Request:
        spconv = self._spconv
        gap = spconv.fusion == "gap"
        return Request(
            groups=spconv.groups,
            per_group=spconv.representative // spconv.groups,
            gap=gap,
            intercept=gap or spconv.conv1x1.bias is not None,
        )

    def _check_determined(self, name: str, observations: Observations) -> None:
        spconv = self._spconv
        unknowns = spconv.representative // spconv.groups * 9 + spconv.in_channels
        if observations.rows < 2 * unknowns:
            _warn(
                f"layer {name!r}: {observations.rows} positions for {unknowns} weights per output; "
                "give more calibration images"
            )


def _warn(message: str) -> None:
    warnings.warn(message, CalibrationWarning, stacklevel=3)
