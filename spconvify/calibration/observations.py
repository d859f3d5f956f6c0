"""What one layer sees on the calibration images, and what it should give: sampled rows, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spconvify.calibration.capture import Call
from spconvify.calibration.effort import FULL, Effort
from spconvify.calibration.moments import Geometry, Positions
from spconvify.calibration.output_path import OutputPath
from spconvify.calibration.sample import BUDGET, Sampler, Wanted
from spconvify.calibration.windows import Windows


@dataclass
class Part:
    """Rows of one call: `features` (rows, F), `wanted` and `shortcut` (rows, L).

    `wanted` is what the original network's activation gets, `shortcut` (or None) what the converted
    network adds there. `image` numbers the images, `means` (images, F) are their
    mean features over all positions (None unless asked for). `left_out` says that a trial fit, which
    decides how strong the ridge has to be, doesn't see these rows.
    """

    features: np.ndarray
    wanted: np.ndarray
    shortcut: np.ndarray | None
    image: np.ndarray
    means: np.ndarray | None = None
    left_out: bool = False


class Observations:
    """Feature rows from the converted network and targets from the original one.

    Args:
        geometry: of the convolution.
        images: how many will come.
        path: what follows the layer in the original network.
        calls: of the layer in one forward pass.
        seed: of the sample.
        budget: most feature values to keep, see `Sampler`.
        image_means: also keep every image's mean features.
        effort: how many positions are enough.
    """

    def __init__(
        self,
        geometry: Geometry | Windows,
        images: int,
        path: OutputPath,
        *,
        calls: int = 1,
        seed: int = 0,
        budget: int = BUDGET,
        image_means: bool = False,
        effort: Effort = FULL,
    ):
        self.geometry, self.path = geometry, path
        self._images, self._calls = images, calls
        self._seed, self._budget, self._image_means = seed, budget, image_means
        self._effort = effort
        self._sampler: Sampler | None = None
        self.parts: list[Part] = []

    def add(self, original: Iterable[Call], converted: Iterable[Call]) -> None:
        """Take the calls of one batch in: targets from the original network, inputs from the other."""
        pairs = list(zip(original, converted))
        current = [call for _, call in pairs]
        if not pairs:
            return
        if self._sampler is None:
            channels = _input(current[0]).shape[3]
            self._sampler = Sampler(
                channels,
                self._images,
                self._calls,
                seed=self._seed,
                taps=len(self.geometry.taps),
                budget=self._budget,
                effort=self._effort,
            )
        self.take(self._sampler.batch([call for call, _ in pairs]), current)

    def take(self, original: Iterable[Wanted], converted: Iterable[Call]) -> None:
        """The same where the rows of the original network have been chosen already."""
        for wanted, current in zip(original, converted):
            for chosen, left_out in ((~wanted.left_out, False), (wanted.left_out, True)):
                if chosen.any():
                    self.parts.append(self._part(wanted, current, chosen, left_out))

    def _part(self, wanted: Wanted, current: Call, chosen: np.ndarray, left_out: bool) -> Part:
        image, row, column = (index[chosen] for index in wanted.where)
        where = (image, row, column)
        shortcuts = (None, None)
        if wanted.addend is not None and current.addend is not None:
            shortcuts = (wanted.addend[chosen], current.addend[where])
        target = self.path.outward(wanted.output[chosen], shortcuts[0])
        x = _input(current)
        features = self.geometry.rows(x, where)
        images, number = np.unique(image, return_inverse=True)
        part = Part(features, target, shortcuts[1], number, left_out=left_out)
        if self._image_means:
            _, height, width = wanted.size
            part.means = np.stack(list(_means(x[images], self.geometry, height, width)))
        return part

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(len(part.features) for part in self.parts)

    @property
    def varies(self) -> bool:
        """Whether the layer's input isn't the same in all rows: only then is there something to fit."""
        return any((part.features != self.parts[0].features[0]).any() for part in self.parts)

    @property
    def finite(self) -> bool:
        """Whether there is no NaN and no infinity in what was seen, and squares don't overflow."""
        return all(
            bool(np.isfinite(np.square(values, dtype=np.float32).sum(dtype=np.float64)))
            for part in self.parts
            for values in (part.features, part.wanted, part.shortcut)
            if values is not None
        )

    @property
    def channels(self) -> int:
        """Input channels of the layer."""
        return self.parts[0].features.shape[1] // (len(self.geometry.taps) + 1)

    def select(self, columns: np.ndarray, own: slice) -> list[Part]:
        """The parts with some of the features and some of the outputs, copied."""
        return [
            Part(
                part.features[:, columns],
                part.wanted[:, own],
                None if part.shortcut is None else part.shortcut[:, own],
                part.image,
                None if part.means is None else part.means[:, columns],
                part.left_out,
            )
            for part in self.parts
        ]


def _input(call: Call) -> np.ndarray:
    assert call.input is not None
    return call.input


def _means(x: np.ndarray, geometry: Geometry | Windows, height: int, width: int) -> Iterator[np.ndarray]:
    where = Positions().choose(1, height, width, 0)
    for image in x:
        yield geometry.rows(image[None], where).mean(0)
