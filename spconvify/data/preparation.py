"""How images become a network's input: channels, size, mean and std, layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from spconvify.data.normalizations import IMAGENET_MEAN, IMAGENET_STD, Numbers
from spconvify.errors import ArgumentError, Option

GREY_MEAN, GREY_STD = (0.5,), (0.5,)
WHITE = 255.0  # of pixels in bytes
Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class Statistics:
    """Mean and std per channel, or one for all, of pixels in 0..1.

    `of_bytes` tells that they were given for pixels in 0..255, and have been divided by that.
    """

    mean: Numbers
    std: Numbers
    of_bytes: bool = False

    def __str__(self) -> str:
        mean, std = (",".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"mean {mean} and std {std}" + (", given for 0..255" if self.of_bytes else "")


@dataclass(frozen=True)
class Preparation:
    """How images become an input: None takes what the file says, else the network's usual values.

    `mean` and `std` are those of pixels in 0..1; where they are larger than 1, of pixels in 0..255. With
    `bgr` the pixels' channels, which are red, green and blue, are turned around first: the first mean is
    that of blue then.

    Raises:
        ArgumentError: for `bgr` and a network that doesn't take three channels.
    """

    channels: int
    size: tuple[int, int]  # (H, W) where the images' own isn't kept
    resize: tuple[int, int] | None = None
    mean: Numbers | None = None
    std: Numbers | None = None
    layout: Layout = "NCHW"
    bgr: bool = False

    def __post_init__(self) -> None:
        if self.bgr and self.channels != len(IMAGENET_MEAN):
            raise ArgumentError(
                Option("bgr", True),
                " turns three channels around, red, green and blue, and the network takes "
                f"{self.channels}; leave it out",
            )

    @classmethod
    def of(cls, shape: Sequence[int], layout: Layout = "NCHW", **options: Any) -> Preparation:
        """For a network whose input has this shape: (N, C, H, W), or (N, H, W, C)."""
        _, channels, height, width = shape if layout == "NCHW" else (shape[0], shape[3], *shape[1:3])
        return cls(channels, (height, width), layout=layout, **options)

    @property
    def order(self) -> str:
        """A word for notes where the channels are turned around."""
        return ", BGR" if self.bgr else ""

    @property
    def target(self) -> tuple[int, int]:
        """(H, W) of pictures."""
        return self.resize or self.size

    def normalise(
        self, pixels: np.ndarray, mean: Any = None, std: Any = None, white: float = WHITE
    ) -> np.ndarray:
        """(N, C, H, W) of 0..`white` -> float32, standardised per channel, turned around for `bgr`."""
        statistics, shape = self.statistics(mean, std), (1, -1, 1, 1)
        values = (pixels[:, ::-1] if self.bgr else pixels).astype(np.float32, order="C")
        values /= white
        values -= np.array(statistics.mean, np.float32).reshape(shape)
        values /= np.array(statistics.std, np.float32).reshape(shape)
        return values

    def arrange(self, values: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> the network's layout."""
        return values if self.layout == "NCHW" else np.ascontiguousarray(values.transpose(0, 2, 3, 1))

    def statistics(self, mean: Any = None, std: Any = None) -> Statistics:
        """Mean and std per channel: the user's, else the file's, else the usual ones.

        Raises:
            ArgumentError: for another number of them than there are channels, a value that can't be,
                or where there are none and a network of so many channels has no usual ones.
        """
        means = self._numbers("mean", self.mean if self.mean is not None else mean)
        stds = self._numbers("std", self.std if self.std is not None else std)
        if (means is None) != (stds is None):
            there, missing = ("mean", "std") if stds is None else ("std", "mean")
            raise ArgumentError(Option(there), " is nothing without ", Option(missing), "; give both")
        means, stds, of_bytes = _in_unit_range(means, stds)
        usual = self._usual(means is None or stds is None)
        return Statistics(
            usual[0] if means is None else means, usual[1] if stds is None else stds, of_bytes
        )

    def _usual(self, wanted: bool) -> tuple[Numbers, Numbers]:
        if self.channels == 1:
            return GREY_MEAN, GREY_STD
        if wanted and self.channels != len(IMAGENET_MEAN):
            raise ArgumentError(
                f"no mean and std are usual for {self.channels} channels; give ",
                Option("mean"),
                " and ",
                Option("std"),
            )
        return IMAGENET_MEAN, IMAGENET_STD

    def _numbers(self, name: str, given: Any) -> Numbers | None:
        if given is None:
            return None
        values = np.asarray(given)
        if values.dtype.kind not in "iuf":
            raise ArgumentError(f"{name} is of dtype {values.dtype}, not a number per channel")
        numbers = tuple(values.reshape(-1).astype(np.float64).tolist())
        if len(numbers) not in (1, self.channels):
            raise ArgumentError(
                f"{len(numbers)} numbers of mean or std for {self.channels} channels; "
                "give one for each, or one for all"
            )
        if not np.isfinite(numbers).all():
            raise ArgumentError(f"{name} {numbers} isn't finite")
        if name == "std" and min(numbers) <= 0:
            raise ArgumentError(f"std {min(numbers):g} isn't positive")
        if name == "mean" and not 0 <= min(numbers) <= max(numbers) <= WHITE:
            raise ArgumentError(
                f"mean {','.join(f'{n:g}' for n in numbers)} can't be the mean of pixels; "
                "it is in 0..1 (or 0..255)"
            )
        return numbers


def _in_unit_range(
    mean: Numbers | None, std: Numbers | None
) -> tuple[Numbers | None, Numbers | None, bool]:
    """Both for pixels in 0..1: those that say 123 and 58, or 123 and 1, are for pixels in 0..255."""
    if not any(max(numbers or (0.0,)) > 1 for numbers in (mean, std)):
        return mean, std, False
    if mean is not None and std is not None and (0 < max(mean) <= 1 or min(std) < 1):
        one, other = ("0..1", "0..255") if max(mean) <= 1 else ("0..255", "0..1")
        raise ArgumentError(
            f"mean {max(mean):g} is of pixels in {one}, and std {min(std):g} of pixels in {other}; "
            "give both for the same pixels"
        )
    in_bytes = [numbers and tuple(number / WHITE for number in numbers) for numbers in (mean, std)]
    return in_bytes[0], in_bytes[1], True
