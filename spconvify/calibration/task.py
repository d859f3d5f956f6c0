"""One layer to fit: the two networks, the two layers, and what happens to the output."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from paddle import nn

from spconvify.calibration.capture import Call, capture
from spconvify.calibration.effort import FULL, Effort
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.output_path import OutputPath
from spconvify.calibration.sample import Wanted
from spconvify.calibration.settled import SettledOutputs
from spconvify.calibration.targets import REMEDY, Targets
from spconvify.calibration.trace import Calls
from spconvify.network.graph import data_format_of
from spconvify.network.inputs import Inputs, Sample
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


@dataclass(frozen=True)
class Kept:
    """Which channels of the original's convolution are left; None is all of them."""

    inputs: tuple[int, ...] | None = None
    outputs: tuple[int, ...] | None = None


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
        kept: which channels of `conv` are those of `layer`.
        effort: how much is looked at, and how long the fit goes on.
        norm: the BatchNorm behind the layer in `converted`, if there is one and nobody else uses it.
    """

    original: nn.Layer
    converted: nn.Layer
    conv: nn.Layer
    layer: nn.Layer
    calls: Calls
    images: CalibrationImages
    seed: int = 0
    name: str = ""
    targets: Targets | None = None
    settled: SettledOutputs | None = None
    kept: Kept = Kept()
    effort: Effort = FULL
    norm: nn.Layer | None = None

    def rows_by_batch(self) -> Iterator[tuple[list[Wanted], list[Call]]]:
        """Rows of what the original network gives, and the converted one's calls, batch by batch.

        What the layer itself gives there isn't computed: its outputs may be zeros.
        """
        targets = self.targets
        if targets is None:
            layer, calls = {self.name: self.conv}, {self.name: self.calls}
            targets = Targets(self.original, layer, calls, self.images, self.seed, self.effort)
        channels_last = data_format_of(self.layer) == "NHWC"
        look = partial(self._calls, self.converted, self.layer, channels_last)
        for number, (batch, wanted) in enumerate(zip(self.images, targets.take(self.name))):
            # The addend, which comes behind the layer's only call, doesn't depend on what it gives.
            size = wanted[0].size if self.calls.number == len(wanted) == 1 else None
            with self._recalling(number, size):
                current = run(self.converted, Inputs.of(batch), remedy=REMEDY, act=look)
            yield [self._of_layer(one) for one in wanted], current

    def _of_layer(self, wanted: Wanted) -> Wanted:
        """Without the outputs that the layer hasn't any more."""
        if self.kept.outputs is None:
            return wanted
        own = list(self.kept.outputs)
        addend = None if wanted.addend is None else wanted.addend[:, own]
        return replace(wanted, output=wanted.output[:, own], addend=addend)

    @property
    def path(self) -> OutputPath:
        """What the layer's outputs go through in the original network."""
        path = self.calls.tail.path(self.conv._out_channels)
        if self.kept.outputs is None:
            return path
        own = list(self.kept.outputs)
        return OutputPath(path.gain[own], path.offset[own], path.clip)

    def calls_by_batch(self) -> Iterator[tuple[list[Call], list[Call]]]:
        """What goes in and comes out in the original and in the converted network, batch by batch."""
        channels_last = data_format_of(self.layer) == "NHWC"
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
        """Kernel (L, C, H, W) and bias (L,) of the convolution, in float32; those that are `kept`."""
        conv: nn.Conv2D = self.conv
        kernel = conv.weight.astype("float32").numpy()
        bias = np.zeros(len(kernel), np.float32)
        if conv.bias is not None:
            bias = conv.bias.astype("float32").numpy()
        if self.kept.outputs is not None:
            kernel, bias = kernel[list(self.kept.outputs)], bias[list(self.kept.outputs)]
        if self.kept.inputs is not None:
            kernel = kernel[:, list(self.kept.inputs)]
        return kernel, bias
