"""What every layer should give: seen in one pass of the original network, not in one for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from paddle import nn

from spconvify.calibration.capture import Watched, capture_all
from spconvify.calibration.effort import FULL, Effort
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.sample import Sampler, Wanted
from spconvify.calibration.trace import Calls
from spconvify.network.graph import data_format_of
from spconvify.network.inputs import Inputs
from spconvify.network.run import run

# Where the network doesn't run on some calibration images.
REMEDY = ("give calibration images of the size, channels and layout that it takes",)


class Targets:
    """The rows that the original network's convolutions give, kept until they are taken.

    Only the sampled rows are kept; for a ResNet-18 and 64 images of 224x224 that is some 200 MiB.

    Args:
        original: the network, in eval mode.
        convolutions: name -> a convolution of it.
        calls: name -> how it is used.
        images: calibration images.
        seed: of the samples.
        effort: how many positions are looked at.
    """

    def __init__(
        self,
        original: nn.Layer,
        convolutions: Mapping[str, nn.Layer],
        calls: Mapping[str, Calls],
        images: CalibrationImages,
        seed: int = 0,
        effort: Effort = FULL,
    ):
        self._original, self._images, self._seed = original, images, seed
        self._effort = effort
        self._convolutions = {name: convolutions[name] for name in calls}
        self._calls = calls
        self._rows: dict[str, list[list[Wanted]]] | None = None

    def take(self, name: str) -> list[list[Wanted]]:
        """Batch by batch, the rows of every call of one convolution; they can be taken once."""
        if self._rows is None:
            self._rows = self._seen()
        return self._rows.pop(name)

    def _seen(self) -> dict[str, list[list[Wanted]]]:
        names = list(self._convolutions)
        watched = [self._watched(name) for name in names]
        samplers = [self._sampler(name) for name in names]
        rows: dict[str, list[list[Wanted]]] = {name: [] for name in names}
        look = partial(capture_all, self._original, watched)
        for batch in self._images:
            calls = run(self._original, Inputs.of(batch), remedy=REMEDY, act=look)
            for name, sampler, seen in zip(names, samplers, calls):
                rows[name].append(sampler.batch(seen))
        return rows

    def _watched(self, name: str) -> Watched:
        convolution = self._convolutions[name]
        last = data_format_of(convolution) == "NHWC"
        return Watched(convolution, self._calls[name], last, inputs=False)

    def _sampler(self, name: str) -> Sampler:
        channels = self._convolutions[name]._in_channels
        return Sampler(
            channels, self._images.count, self._calls[name].number, seed=self._seed, effort=self._effort
        )
