"""Forms of a layer with gap fusion, whose gate depends on the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle.nn.functional as F
from paddle import nn

from spconvify.deploy.folding import Folded
from spconvify.deploy.parts import FusedSPConv2D, channels_of, over_all, pointwise, spatial


class GatedDifference(FusedSPConv2D):
    """Z = Y₃ - Y₁ as one 1x1 over all channels plus the group convolution, then Y = Y₁ + gate · Z.

    The gate is made by a pooling, a depthwise 1x1 (its scale, with the sigmoid fused into it) and one
    product of equal layouts; Y₁'s convolution takes in the sum.
    """

    name, fusion = "gated-difference", "gap"

    def __init__(self, folded: Folded, select: str = "copy"):
        super().__init__(folded, select)
        self.take = channels_of(folded, folded.representative, select)
        self.gwc = spatial(folded, folded.gwc, folded.bias3 - folded.bias1)
        self.difference = pointwise(folded, over_all(folded, folded.pwc, -folded.uncertain))
        self.take_rest = self._rest(folded)
        self.scale = gate_scale(folded)

    def _rest(self, folded: Folded) -> nn.Layer:
        self.conv1x1 = pointwise(folded, folded.uncertain, folded.bias1)
        return channels_of(folded, folded.rest, self.select)

    def forward(self, x):
        pooled = self.pool(x)
        spread = self.gwc(self.take(x))
        difference = self.difference(pooled) + spread
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

    name, fusion = "two-parts", "gap"

    def __init__(self, folded: Folded, select: str = "copy"):
        super().__init__(folded, select)
        self.take = channels_of(folded, folded.representative, select)
        self.take_rest = channels_of(folded, folded.rest, select)
        self.gwc = spatial(folded, folded.gwc, folded.bias3)
        self.pwc = pointwise(folded, folded.pwc)
        self.conv1x1 = pointwise(folded, folded.uncertain, folded.bias1)
        self.scale = gate_scale(folded)

    def forward(self, x):
        representative = self.take(x)
        spread = self.gwc(representative)
        y3 = self.pwc(self.pool(representative)) + spread
        y1 = self.conv1x1(self.pool(self.take_rest(x)))
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
