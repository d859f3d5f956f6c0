"""Forms of a layer with sum fusion, which is one linear operator."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.folding import Folded
from spconvify.deploy.parts import FusedSPConv2D, channels_of, over_all, pointwise, spatial


class PointwiseLast(FusedSPConv2D):
    """One 1x1 over all channels, added to the group convolution: both stay what oneDNN does fast.

    The bias is the group convolution's: on the 1x1 it would keep the addition from being fused.
    """

    name, fusion = "pointwise-last", "sum"

    def __init__(self, folded: Folded, select: str = "copy"):
        super().__init__(folded, select)
        self.take = channels_of(folded, folded.representative, select)
        self.gwc = spatial(folded, folded.gwc, folded.bias3 + folded.bias1)
        self.pointwise = pointwise(folded, over_all(folded, folded.pwc, folded.uncertain))

    def forward(self, x):
        spread = self.gwc(self.take(x))
        return self.pointwise(self.pool(x)) + spread


class SplitGroups(PointwiseLast):
    """The groups as convolutions of their own: where a group has few channels, these stay
    channels-last and the group convolution wouldn't."""

    name, fusion, picks = "split-groups", "sum", False

    def __init__(self, folded: Folded, select: str = "copy"):
        super().__init__(folded, select)
        outputs = folded.layer.out_channels // folded.layer.groups
        inputs = folded.layer.representative // folded.layer.groups
        bias = folded.bias3 + folded.bias1
        self.gwc, self.take = nn.LayerList(), nn.LayerList()
        for group in range(folded.layer.groups):
            own = slice(group * outputs, (group + 1) * outputs)
            self.gwc.append(spatial(folded, folded.gwc[own], bias[own], groups=1))
            channels = folded.representative[group * inputs : (group + 1) * inputs]
            self.take.append(channels_of(folded, channels, select))

    @classmethod
    def fits(cls, folded: Folded) -> bool:
        return super().fits(folded) and folded.layer.groups > 1

    def forward(self, x):
        spread = [gwc(take(x)) for gwc, take in zip(self.gwc, self.take)]
        return self.pointwise(self.pool(x)) + paddle.concat(spread, axis=self._axis)


class DenseKernel(FusedSPConv2D):
    """The layer written back as one dense 3x3: as fast as the original, where nothing is faster.

    Only with stride 1: then a 1x1 is the centre of a 3x3. (With stride 2 the average over an odd map's
    last row or column would need other weights than the rest.)
    """

    name, fusion, picks = "dense", "sum", False

    def __init__(self, folded: Folded, select: str = "copy"):
        super().__init__(folded, select)
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
