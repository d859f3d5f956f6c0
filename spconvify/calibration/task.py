"""One layer to fit: the two networks, the two layers, and what happens to the output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from paddle import nn

from spconvify.calibration.capture import Call, capture
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.sample import Wanted
from spconvify.calibration.settled import SettledOutputs
from spconvify.calibration.targets import REMEDY, Targets
from spconvify.calibration.trace import Calls
from spconvify.network.inputs import Inputs, Sample
from spconvify.network.replacement import Replacement
from spconvify.network.run import run


class Unfitted(Exception):
    """Why a layer keeps the weights that it has, and their error on positions that were left out.

    `few` is as in `LayerFit`.
    """

    def __init__(self, reason: str, error: float | None = None, few: str = ""):
        super().__init__(reason)
        self.error, self.few = error, few


@dataclass(frozen=True)
class LayerFit:
    """What a fit gave: the relative error to expect on other images, and how few positions there were,
    where they don't determine the weights."""

    error: float
    few: str = ""


@dataclass(frozen=True, eq=False)
class Task:
    """One layer to fit, on what the converted network feeds it, to what the original one has there.

    Attributes:
        original: the network before the conversion.
        converted: the network after it, fitted up to this layer.
        conv: the convolution in `original`.
        layer: what stands in its place in `converted`.
        calls: how often it runs, and what its output goes through.
        images: calibration images.
        seed: of samples.
        name: of the convolution, in `targets`.
        targets: what the original network has at all layers, if it has been seen together.
        settled: what layers of the converted network gave in the passes for the layers before.
    """

    original: nn.Layer
    converted: nn.Layer
    conv: nn.Layer
    layer: Replacement
    calls: Calls
    images: CalibrationImages
    seed: int = 0
    name: str = ""
    targets: Targets | None = None
    settled: SettledOutputs | None = None

    def rows_by_batch(self) -> Iterator[tuple[list[Wanted], list[Call]]]:
        """Rows of what the original network gives, and the converted one's calls, batch by batch.

        What the layer itself gives there isn't computed: its outputs may be zeros.
        """
        targets = self.targets
        if targets is None:
            layer, calls = {self.name: self.conv}, {self.name: self.calls}
            targets = Targets(self.original, layer, calls, self.images, self.seed)
        channels_last = self.layer.data_format == "NHWC"
        look = partial(self._calls, self.converted, self.layer, channels_last)
        for number, (batch, wanted) in enumerate(zip(self.images, targets.take(self.name))):
            # The addend, which comes behind the layer's only call, doesn't depend on what it gives.
            size = wanted[0].size if self.calls.number == len(wanted) == 1 else None
            with self._recalling(number, size):
                current = run(self.converted, Inputs.of(batch), remedy=REMEDY, act=look)
            yield wanted, current

    def calls_by_batch(self) -> Iterator[tuple[list[Call], list[Call]]]:
        """What goes in and comes out in the original and in the converted network, batch by batch."""
        channels_last = self.layer.data_format == "NHWC"
        look_first = partial(self._calls, self.original, self.conv, channels_last)
        look = partial(self._calls, self.converted, self.layer, channels_last)
        for number, batch in enumerate(self.images):
            inputs = Inputs.of(batch)
            wanted = run(self.original, inputs, remedy=REMEDY, act=look_first)
            with self._recalling(number):
                current = run(self.converted, inputs, remedy=REMEDY, act=look)
            yield wanted, current

    def _recalling(
        self, batch: int, size: tuple[int, int, int] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        if self.settled is None:
            return contextlib.nullcontext()
        return self.settled.passing(batch, self.layer, size)

    def _calls(
        self, model: nn.Layer, layer: nn.Layer, channels_last: bool, sample: Sample
    ) -> list[Call]:
        return capture(model, layer, self.calls, sample, channels_last)

    def dense(self) -> tuple[np.ndarray, np.ndarray]:
        """Kernel (L, C, 3, 3) and bias (L,) of the convolution, in float32."""
        conv: nn.Conv2D = self.conv
        kernel = conv.weight.astype("float32").numpy()
        if conv.bias is None:
            return kernel, np.zeros(len(kernel), np.float32)
        return kernel, conv.bias.astype("float32").numpy()
