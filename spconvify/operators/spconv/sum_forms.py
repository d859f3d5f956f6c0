"""Forms of a layer with sum fusion, which is one linear operator."""

from __future__ import annotations

import numpy as np

from spconvify.operators.spconv.folded import Folded
from spconvify.operators.spconv.parts import (
    Affine,
    FusedSPConv2D,
    OneSplit,
    over_all,
    pointwise,
    spatial,
)


class PointwiseLast(FusedSPConv2D):
    """One 1x1 over all channels, added to the group convolution."""

    name, fusion = "pointwise-last", "sum"

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        weight = over_all(folded, folded.pwc, folded.uncertain)
        self.affine = Affine(folded, weight, folded.bias3 + folded.bias1, variant)

    def forward(self, x):
        return self.affine(x, self.pool(x))


class ThreeParts(FusedSPConv2D):
    """The paper's three convolutions on one split: where neither a split nor a sum costs a copy."""

    name, fusion, variants = "three-parts", "sum", ("",)

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        conv1x1 = pointwise(folded, folded.uncertain)
        self.split = OneSplit(folded, folded.bias3 + folded.bias1, conv1x1)

    def forward(self, x):
        y3, y1 = self.split(x)
        return y3 + y1


class DenseKernel(FusedSPConv2D):
    """The layer written back as one dense 3x3: as fast as the original, where nothing is faster.

    Only with stride 1: then a 1x1 is the centre of a 3x3. (With stride 2 the average over an odd map's
    last row or column would need other weights than the rest.)
    """

    name, fusion, variants = "dense", "sum", ("",)

    def __init__(self, folded: Folded, variant: str = ""):
        super().__init__(folded, variant)
        kernel = np.zeros((self.out_channels, self.in_channels, 3, 3))
        kernel[:, :, 1, 1] = over_all(folded, folded.pwc, folded.uncertain)
        outputs, inputs = self.out_channels // self.groups, self.representative // self.groups
        for group in range(self.groups):
            rows = np.arange(group * outputs, (group + 1) * outputs)
            columns = folded.representative[group * inputs : (group + 1) * inputs]
            kernel[np.ix_(rows, columns)] += folded.gwc[rows]
        self.conv = spatial(folded, kernel, folded.bias3 + folded.bias1, groups=1)

    @classmethod
    def fits(cls, folded: Folded) -> bool:
        return super().fits(folded) and folded.layer.stride == 1

    def forward(self, x):
        return self.conv(x)
