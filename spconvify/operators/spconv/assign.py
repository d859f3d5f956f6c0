"""Write a fitted solution into an SPConv2D."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from spconvify.operators.spconv.copy import assign
from spconvify.operators.spconv.gate import Gate
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.solve import Fit


def assign_fit(spconv: SPConv2D, fit: Fit, gate: Gate | None) -> None:
    """Set the channel order and all weights of `spconv`, its BatchNorms included."""
    spconv.channels = paddle.to_tensor(
        np.array(fit.channels, dtype=np.int64), place=spconv.gwc.weight.place
    )
    assign(spconv.gwc.weight, fit.gwc.astype(np.float32))
    assign(spconv.pwc.weight, fit.pwc.astype(np.float32))
    assign(spconv.conv1x1.weight, fit.conv1x1.astype(np.float32))
    bias = spconv.conv1x1.bias
    if bias is not None:
        assign(bias, (fit.bias if gate is None else np.zeros_like(fit.bias)).astype(np.float32))
    if gate is not None:
        _set_norm(spconv.bn1, gate.mean3, gate.variance3, gate.level)
        _set_norm(spconv.bn2, gate.mean1, gate.variance1, gate.level)


def _set_norm(norm: Any, mean: np.ndarray, variance: np.ndarray, level: np.ndarray) -> None:
    """True statistics, and the gain that makes twice the deviation of them."""
    assign(norm._mean, mean.astype(np.float32))
    assign(norm._variance, variance.astype(np.float32))
    assign(norm.weight, (2.0 * np.sqrt(variance + norm._epsilon)).astype(np.float32))
    assign(norm.bias, level.astype(np.float32))
