"""Where a dense convolution of any kernel looks, and the features that its weights multiply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spconvify.calibration.moments import PAD_MODES


@dataclass(frozen=True)
class Windows:
    """The windows of a convolution with one group; its features are all taps of every channel.

    `padding` is (top, bottom, left, right) in pixels, or None for "SAME", by which Paddle ignores the
    dilation.
    """

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] | None = (1, 1, 1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding_mode: str = "zeros"

    @classmethod
    def of(cls, conv: Any) -> Windows:
        """Those of a Conv2D."""
        down, right = (int(size) for size in conv._dilation)
        padding: tuple[int, int, int, int] | None
        if conv._padding_mode != "zeros":  # then Conv2D pads by itself, and `_updated_padding` is 0
            left, after, top, bottom = (int(size) for size in conv._reversed_padding_repeated_twice)
            padding = (top, bottom, left, after)
        elif conv._padding_algorithm == "SAME":
            padding, down, right = None, 1, 1
        elif conv._padding_algorithm == "VALID":
            padding = (0, 0, 0, 0)
        else:
            given = conv._updated_padding
            sizes = [given] * 2 if isinstance(given, int) else [int(size) for size in given]
            top, bottom, left, after = sizes if len(sizes) == 4 else np.repeat(sizes, 2).tolist()
            padding = (top, bottom, left, after)
        kernel, stride = conv._kernel_size, conv._stride
        return cls(
            (int(kernel[0]), int(kernel[1])),
            (int(stride[0]), int(stride[1])),
            padding,
            (down, right),
            conv._padding_mode,
        )

    @property
    def taps(self) -> tuple[int, ...]:
        """The taps of a channel, row by row."""
        return tuple(range(self.kernel[0] * self.kernel[1]))

    def padded(self, x: np.ndarray) -> np.ndarray:
        """(N, H, W, C) with its border."""
        if self.padding is None:
            vertical, horizontal = (self._same(x.shape[axis + 1], axis) for axis in (0, 1))
        else:
            vertical, horizontal = self.padding[:2], self.padding[2:]
        widths = [(0, 0), vertical, horizontal, (0, 0)]
        if not any(map(any, widths)):
            return x
        return np.pad(x, widths, mode=PAD_MODES[self.padding_mode])  # type: ignore[call-overload]

    def rows(self, x: np.ndarray, where: tuple[np.ndarray, ...]) -> np.ndarray:
        """The features of some positions, float32 (rows, C x taps): channel by channel its taps.

        `x` is (N, H, W, C) and `where` (image, row, column) of the output.
        """
        image, row, column = where
        border, channels = self.padded(x), x.shape[3]
        rows = np.empty((len(image), channels, len(self.taps)), np.float32)
        for tap in self.taps:
            down, right = divmod(tap, self.kernel[1])
            rows[:, :, tap] = border[
                image,
                row * self.stride[0] + down * self.dilation[0],
                column * self.stride[1] + right * self.dilation[1],
            ]
        return rows.reshape(len(image), -1)

    def _same(self, size: int, axis: int) -> tuple[int, int]:
        steps = -(-size // self.stride[axis]) - 1
        total = max(steps * self.stride[axis] + self.kernel[axis] - size, 0)
        return total // 2, total - total // 2
