"""Second moments of what a convolution sees and should give: all that a least-squares fit needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
_BLOCK_ROWS = 4096  # rows of one float32 product; the sum over blocks is kept in float64


@dataclass(frozen=True)
class Geometry:
    """Where a 3x3 convolution looks: `padding` is a width in pixels or "SAME"."""

    stride: int = 1
    padding: int | str = 1
    dilation: int = 1
    padding_mode: str = "zeros"

    @property
    def taps(self) -> tuple[int, ...]:
        """Taps that are features of their own: at stride 1 the centre is the pooled map already."""
        return tuple(tap for tap in range(9) if self.stride > 1 or tap != 4)

    def out_size(self, size: int) -> int:
        """Positions along an axis of `size` pixels."""
        return (size + sum(self._pad_widths(size)) - 2 * self.dilation - 1) // self.stride + 1

    def padded(self, x: np.ndarray) -> np.ndarray:
        """(N, H, W, C) with the border that the 3x3 sees."""
        widths = [(0, 0), self._pad_widths(x.shape[1]), self._pad_widths(x.shape[2]), (0, 0)]
        if not any(map(any, widths)):
            return x
        return np.pad(x, widths, mode=PAD_MODES[self.padding_mode])  # type: ignore[call-overload]

    def pooled(self, x: np.ndarray) -> np.ndarray:
        """(N, H, W, C) as the 1x1 convolutions see it: cropped, then averaged over the stride."""
        if self.padding == 0:
            x = x[:, self.dilation : -self.dilation, self.dilation : -self.dilation]
        if self.stride == 1:
            return x
        for axis in (1, 2):
            x = _pair_means(x, axis)
        return x

    def rows(self, x: np.ndarray, where: tuple[np.ndarray, ...]) -> np.ndarray:
        """See `feature_rows`."""
        return feature_rows(x, self, where)

    def _pad_widths(self, size: int) -> tuple[int, int]:
        if self.padding != "SAME":
            return int(self.padding), int(self.padding)
        steps = -(-size // self.stride) - 1
        total = max(steps * self.stride + 2 * self.dilation + 1 - size, 0)
        return total // 2, total - total // 2


def _pair_means(x: np.ndarray, axis: int) -> np.ndarray:
    """Means of neighbouring pairs along an axis; a last odd one stands alone (ceil_mode)."""
    first = x.take(range(0, x.shape[axis], 2), axis)
    second = x.take(range(1, x.shape[axis], 2), axis)
    if first.shape[axis] > second.shape[axis]:
        second = np.concatenate([second, x.take([-1], axis)], axis)
    return (first + second) * np.float32(0.5)


@dataclass(frozen=True)
class Positions:
    """Output positions of a map that are looked at, per image: all, or a seeded sample."""

    per_image: int | None = None
    seed: int = 0

    def choose(self, images: int, height: int, width: int, call: int) -> tuple[np.ndarray, ...]:
        """(image, row, column) indices, the same number for every image."""
        total = height * width
        if self.per_image is None or self.per_image >= total:
            chosen = np.tile(np.arange(total), (images, 1))
        else:
            random = np.random.default_rng((self.seed, call))
            chosen = np.argsort(random.random((images, total)), axis=1)[:, : self.per_image]
        image = np.repeat(np.arange(images), chosen.shape[1])
        return image, chosen.ravel() // width, chosen.ravel() % width


def feature_rows(x: np.ndarray, geometry: Geometry, where: tuple[np.ndarray, ...]) -> np.ndarray:
    """The features of some positions: float32 (rows, C x taps + C).

    Channel by channel its taps (`Geometry.taps`), then every channel's pooled value. `x` is
    (N, H, W, C) and `where` (image, row, column) of the output.
    """
    image, row, column = where
    channels, taps = x.shape[3], geometry.taps
    rows = np.empty((len(image), channels * (len(taps) + 1)), np.float32)
    windows = rows[:, : channels * len(taps)].reshape(len(image), channels, len(taps))
    border = geometry.padded(x)
    for index, tap in enumerate(taps):
        down, right = tap // 3 * geometry.dilation, tap % 3 * geometry.dilation
        windows[:, :, index] = border[
            image, row * geometry.stride + down, column * geometry.stride + right
        ]
    rows[:, channels * len(taps) :] = geometry.pooled(x)[image, row, column]
    return rows


@dataclass
class Moments:
    """Covariances per row: `gram` (F, F) of features, `cross` (F, L) with targets, `power` (L,).

    F = C x taps + C, in the order of `feature_rows`; the means stand for the intercept.
    """

    gram: np.ndarray
    cross: np.ndarray
    power: np.ndarray
    feature_mean: np.ndarray
    target_mean: np.ndarray
    rows: int
    channels: int
    intercept: bool = True

    @property
    def taps(self) -> int:
        """Taps per channel."""
        return len(self.gram) // self.channels - 1

    @property
    def pooled(self) -> np.ndarray:
        """Columns of the pooled features."""
        return np.arange(self.channels * self.taps, len(self.gram))

    def tap_columns(self, channels: Sequence[int]) -> np.ndarray:
        """Columns of all taps of some channels, in their order."""
        start = np.asarray(channels, dtype=np.intp)[:, None] * self.taps
        return (start + np.arange(self.taps)).ravel()

    def part(self, columns: np.ndarray, outputs: slice) -> Moments:
        """The moments of some of the features and outputs."""
        return replace(
            self,
            gram=self.gram[np.ix_(columns, columns)],
            cross=self.cross[columns][:, outputs],
            power=self.power[outputs],
            feature_mean=self.feature_mean[columns],
            target_mean=self.target_mean[outputs],
        )


class MomentsAccumulator:
    """Adds up `Moments` part by part: memory O(F^2), whatever the number of rows.

    Products are float32 within a block of rows, taken about the first block's mean, and summed in
    float64: on ReLU features that differs from float64 throughout by 1e-7 of the largest entry, and
    takes half the time.
    """

    def __init__(self, channels: int, *, intercept: bool = True):
        self._channels, self._intercept, self._rows = channels, intercept, 0
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._waiting_rows = 0

    def add(self, features: np.ndarray, target: np.ndarray) -> None:
        """Take features (rows, F) and targets (rows, L) in."""
        for start in range(0, len(features), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            if self._waiting and self._waiting_rows + len(features[block]) > _BLOCK_ROWS:
                self._flush()
            self._waiting.append((features[block], target[block]))
            self._waiting_rows += len(features[block])

    def _flush(self) -> None:
        """Take in what waits, in one product: adding up (F, F) matrices is dear for small parts."""
        if self._waiting:
            features, target = (_joined([pair[k] for pair in self._waiting]) for k in (0, 1))
            self._waiting, self._waiting_rows = [], 0
            self._add_block(features, target)

    def _add_block(self, features: np.ndarray, target: np.ndarray) -> None:
        if not self._rows:
            self._start(features, target)
        features = features - self._origin
        target = target - self._target_origin
        self._gram += features.T @ features
        self._cross += features.T @ target
        self._power += np.square(target, dtype=np.float64).sum(0)
        self._sum += features.sum(0, dtype=np.float64)
        self._target_sum += target.sum(0, dtype=np.float64)
        self._rows += len(features)

    def _start(self, features: np.ndarray, target: np.ndarray) -> None:
        width, outputs = features.shape[1], target.shape[1]
        self._gram, self._cross = np.zeros((width, width)), np.zeros((width, outputs))
        self._power, self._sum, self._target_sum = np.zeros(outputs), np.zeros(width), np.zeros(outputs)
        self._origin, self._target_origin = np.zeros(width, np.float32), np.zeros(outputs, np.float32)
        if self._intercept:
            self._origin, self._target_origin = features.mean(0), target.mean(0)

    def result(self) -> Moments:
        """The moments of everything added; about the mean if there is an intercept.

        The accumulator gives its arrays away: it can't be added to afterwards.
        """
        self._flush()
        n = self._rows
        mean, target_mean = self._sum / n, self._target_sum / n
        gram, cross, power = self._gram, self._cross, self._power / n
        gram /= n
        cross /= n
        if self._intercept:
            gram -= np.outer(mean, mean)
            cross -= np.outer(mean, target_mean)
            power = power - target_mean**2
            mean, target_mean = mean + self._origin, target_mean + self._target_origin
        else:
            mean, target_mean = np.zeros_like(mean), np.zeros_like(target_mean)
        return Moments(gram, cross, power, mean, target_mean, n, self._channels, self._intercept)


def _joined(blocks: Sequence[np.ndarray]) -> np.ndarray:
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def retargeted(moments: Moments, parts: Iterable[tuple[np.ndarray, np.ndarray]]) -> Moments:
    """The moments of the same features with other targets: `parts` are (features, target) rows."""
    cross, power = np.zeros_like(moments.cross), np.zeros_like(moments.power)
    target_sum, origin = np.zeros_like(power), moments.feature_mean.astype(np.float32)
    for features, target in parts:
        for start in range(0, len(features), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            cross += (features[block] - origin).T @ target[block]
        power += np.square(target, dtype=np.float64).sum(0)
        target_sum += target.sum(0, dtype=np.float64)
    n, mean = moments.rows, np.zeros_like(power)
    if moments.intercept:
        mean = target_sum / n
        # the features' mean isn't zero to the last bit in float32
        cross -= np.outer((moments.feature_mean - origin) * n, mean)
    return replace(moments, cross=cross / n, power=power / n - mean**2, target_mean=mean)
