"""What one layer sees on the calibration images, and what it should give: sampled rows, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from spconvify.calibration.capture import Call
from spconvify.calibration.moments import Geometry, Positions, feature_rows
from spconvify.calibration.output_path import OutputPath

# Feature values kept per layer (512 MiB of float32): memory doesn't grow with the images.
BUDGET = 2**27


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
        budget: most feature values to keep; each image gives the same number of positions.
        image_means: also keep every image's mean features.
    """

    def __init__(
        self,
        geometry: Geometry,
        images: int,
        path: OutputPath,
        *,
        calls: int = 1,
        seed: int = 0,
        budget: int = BUDGET,
        image_means: bool = False,
    ):
        self.geometry, self.path = geometry, path
        self._images, self._calls = max(images, 1), max(calls, 1)
        self._seed, self._budget, self._image_means = seed, budget, image_means
        self.parts: list[Part] = []
        self._first = self._seen = 0  # images and calls so far

    def add(self, original: Iterable[Call], converted: Iterable[Call]) -> None:
        """Take the calls of one batch in: targets from the original network, inputs from the other."""
        images = 0
        for wanted, current in zip(original, converted):
            images = len(wanted.output)
            self._add_call(wanted, current)
        self._first += images

    def _add_call(self, wanted: Call, current: Call) -> None:
        images, height, width, _ = wanted.output.shape
        width_of_row = current.input.shape[3] * (len(self.geometry.taps) + 1)
        per_image = max(1, self._budget // (width_of_row * self._images * self._calls))
        where = Positions(per_image, self._seed).choose(images, height, width, self._seen)
        self._seen += 1
        out = self._left_out(where, height * width)
        for chosen, left_out in ((~out, False), (out, True)):
            if chosen.any():
                image, row, column = (index[chosen] for index in where)
                self.parts.append(self._part(wanted, current, (image, row, column), left_out))

    def _left_out(self, where: tuple[np.ndarray, ...], positions: int) -> np.ndarray:
        """Which rows a trial fit doesn't see: a quarter of the images, of a single one its lower end."""
        image, row, column = where
        if self._images == 1:
            place = row * (column.max() + 1) + column
            return place >= positions - max(1, positions // 4)
        every = min(4, self._images)
        return (self._first + image) % every == every - 1

    def _part(self, wanted: Call, current: Call, where: tuple[np.ndarray, ...], left_out: bool) -> Part:
        shortcuts = (None, None)
        if wanted.addend is not None and current.addend is not None:
            shortcuts = (wanted.addend[where], current.addend[where])
        target = self.path.outward(wanted.output[where], shortcuts[0])
        features = feature_rows(current.input, self.geometry, where)
        images, number = np.unique(where[0], return_inverse=True)
        part = Part(features, target, shortcuts[1], number, left_out=left_out)
        if self._image_means:
            height, width = wanted.output.shape[1:3]
            part.means = np.stack(list(_means(current.input[images], self.geometry, height, width)))
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


def _means(x: np.ndarray, geometry: Geometry, height: int, width: int) -> Iterator[np.ndarray]:
    where = Positions().choose(1, height, width, 0)
    for image in x:
        yield feature_rows(image[None], geometry, where).mean(0)
