"""Forms of a layer with gap fusion, whose gate depends on the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle.nn.functional as F
from paddle import nn

from spconvify.deploy.folding import Folded
from spconvify.deploy.parts import Affine, FusedSPConv2D, Spread, channels_of, over_all, pointwise


class GatedDifference(FusedSPConv2D):
    """Z = Y₃ - Y₁ as one linear operator, then Y = Y₁ + gate · Z.

    The gate is made by a pooling, a depthwise 1x1 (its scale, with the sigmoid fused into it) and one
    product of equal layouts; Y₁'s convolution takes in the sum.
    """

    name, fusion = "gated-difference", "gap"

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        weight = over_all(folded, folded.pwc, -folded.uncertain)
        self.difference = Affine(folded, weight, folded.bias3 - folded.bias1, variant)
        self.scale = gate_scale(folded)
        self.take_rest = self._rest(folded)

    def _rest(self, folded: Folded) -> nn.Layer:
        self.conv1x1 = pointwise(folded, folded.uncertain, folded.bias1)
        return channels_of(folded, folded.rest, self.variant)

    def forward(self, x):
        pooled = self.pool(x)
        difference = self.difference(x, pooled)
        gated = difference * gate(self, difference)
        return self.conv1x1(self.take_rest(pooled)) + gated


class GatedWide(GatedDifference):
    """The same, with Y₁'s 1x1 over all channels (zeros for the representative ones): more arithmetic,
    but no copy of the uncertain channels."""

    name, fusion = "gated-wide", "gap"

    def _rest(self, folded: Folded) -> nn.Layer:
        weight = over_all(folded, np.zeros_like(folded.pwc), folded.uncertain)
        self.conv1x1 = pointwise(folded, weight, folded.bias1)
        return nn.Identity()


class TwoParts(FusedSPConv2D):
    """Y₃ and Y₁ as the paper has them, and Y = Y₁ + gate · (Y₃ - Y₁): the least arithmetic."""

    name, fusion, variants = "two-parts", "gap", ("", "split")

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        self.take = channels_of(folded, folded.representative, variant)
        self.take_rest = channels_of(folded, folded.rest, variant)
        self.spread = Spread(folded, folded.bias3, variant)
        self.pwc = pointwise(folded, folded.pwc)
        self.conv1x1 = pointwise(folded, folded.uncertain, folded.bias1)
        self.scale = gate_scale(folded)

    def forward(self, x):
        spread = self.spread(x)
        y3 = self.pwc(self.take(self.pool(x))) + spread
        y1 = self.conv1x1(self.take_rest(self.pool(x)))
        difference = y3 - y1
        return y1 + gate(self, difference) * difference


def gate(form: Any, difference):
    """σ(scale · GAP(difference)), (N, L, 1, 1)."""
    average = F.adaptive_avg_pool2d(difference, 1, data_format=form.data_format)
    return F.sigmoid(average if form.scale is None else form.scale(average))


def gate_scale(folded: Folded) -> nn.Conv2D | None:
    """The gate's scale as a depthwise 1x1, where it isn't one."""
    assert folded.scale is not None
    if np.all(folded.scale == 1.0):
        return None
    outputs = folded.layer.out_channels
    return pointwise(folded, folded.scale.reshape(outputs, 1), groups=outputs)
