"""Forms of a layer with gap fusion, whose gate depends on the input."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle.nn.functional as F
from paddle import nn

from spconvify.operators.spconv.folded import Folded
from spconvify.operators.spconv.parts import (
    Affine,
    Channels,
    FusedSPConv2D,
    OneSplit,
    Spread,
    is_range,
    over_all,
    pointwise,
)


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
        self.take = Channels(folded, [folded.rest], self.in_channels, variant)
        self.conv1x1 = pointwise(folded, folded.uncertain, folded.bias1)

    def forward(self, x):
        pooled = self.pool(x)
        difference = self.difference(x, pooled)
        gated = difference * gate(self, average(self, difference))
        return self.conv1x1(*self.take(pooled)) + gated


class TwoParts(FusedSPConv2D):
    """Y₃ as the paper has it, D = Y₃ - Y₁, and Y = Y₃ - σ(-scale · GAP(D)) · D: the least arithmetic.

    Each part of the input is used once, so that one split serves all (of the averages, with stride 2),
    and each 1x1 takes in what came before it. Where X₁ can't be split off, its 1x1 takes all channels,
    with zeros for X₃, instead of a copy of its own.
    """

    name, fusion = "two-parts", "gap"

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        self._whole = variant == "select" or (
            is_range(folded.representative) and not is_range(folded.rest)
        )
        self._pools = self.stride > 1 or self.crop > 0
        lists = [folded.representative] if self._whole else [folded.representative, folded.rest]
        self.parts = Channels(folded, lists, self.in_channels, variant)
        self.take = (
            Channels(folded, lists[:1], self.in_channels, variant)
            if self._pools and not self._whole
            else None
        )
        self.spread = Spread(folded, folded.bias3, variant)
        pwc, uncertain = folded.pwc, -folded.uncertain
        if self._whole:
            uncertain = over_all(folded, np.zeros_like(pwc), uncertain)
            if self._pools:
                pwc = over_all(folded, pwc, np.zeros_like(folded.uncertain))
        self.pwc = pointwise(folded, pwc)
        self.conv1x1 = pointwise(folded, uncertain, -folded.bias1)
        self.scale = gate_scale(folded, sign=-1)

    def forward(self, x):
        pooled = self.pool(x)
        if self._whole:
            (spatial,) = self.parts(x)
            representative, rest = pooled if self._pools else spatial, pooled
        else:
            representative, rest = self.parts(pooled)
            spatial = representative if self.take is None else self.take(x)[0]
        y3 = self.pwc(representative) + self.spread(spatial)
        difference = self.conv1x1(rest) + y3
        return y3 - gate(self, average(self, difference)) * difference


class TwoMeans(FusedSPConv2D):
    """The paper's three convolutions on one split, the gate from each part's mean: GAP Y₃ - GAP Y₁.

    More operators than `TwoParts`, and fewer that wait for one another: for engines that compile the
    whole network.
    """

    name, fusion, variants = "two-means", "gap", ("",)

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        conv1x1 = pointwise(folded, -folded.uncertain, -folded.bias1)
        self.split = OneSplit(folded, folded.bias3, conv1x1)
        self.scale = gate_scale(folded, sign=-1)

    def forward(self, x):
        y3, minus_y1 = self.split(x)
        means = average(self, y3) + average(self, minus_y1)
        return y3 - gate(self, means) * (y3 + minus_y1)


def gate(form: Any, mean):
    """σ(scale · mean), (N, L, 1, 1)."""
    return F.sigmoid(mean if form.scale is None else form.scale(mean))


def average(form: Any, x):
    """GAP(x), (N, L, 1, 1)."""
    return F.adaptive_avg_pool2d(x, 1, data_format=form.data_format)


def gate_scale(folded: Folded, sign: int = 1) -> nn.Conv2D | None:
    """The gate's scale, times `sign`, as a depthwise 1x1, where it isn't one."""
    assert folded.scale is not None
    scale = sign * folded.scale
    if np.all(scale == 1.0):
        return None
    outputs = folded.layer.out_channels
    return pointwise(folded, scale.reshape(outputs, 1), groups=outputs)
