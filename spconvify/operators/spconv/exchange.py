"""One output group's representative channels, and the exact gain of every possible exchange."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spconvify.operators.spconv.cholesky import inverse_spd


class GroupSelection:
    """Block-wise least squares with a changing set of channels.

    Every channel is a block of `taps` features. `gram` (C·taps, C·taps) and `cross` (C·taps, L) are
    the moments. `chosen` are the channels in use, and `explained` is the energy of the targets that
    they explain. Adding a channel uses the partial Cholesky factorisation, exchanging one the
    inverse of the chosen block: no gain needs a solve larger than `taps`.
    """

    def __init__(self, gram: np.ndarray, cross: np.ndarray, taps: int):
        self._gram, self._cross, self._taps = gram, cross, taps
        self.channels = len(gram) // taps
        self.chosen: list[int] = []
        self.explained = 0.0
        self._gains: np.ndarray | None = np.zeros((0, self.channels))
        self._inverse = self._weights = np.zeros((0, 0))
        self._rest = cross.copy()
        self._factor = np.zeros((len(gram), 0), order="F")  # its columns so far, with room for more
        self._factored = 0
        self._diagonal = _diagonal_blocks(gram, taps)

    def addition_gains(self) -> np.ndarray:
        """(C,): energy that every channel would explain on top of the chosen ones."""
        rest = self._rest.reshape(self.channels, self._taps, -1)
        gains = _traces(np.linalg.inv(self._diagonal), rest @ rest.transpose(0, 2, 1))
        gains[self.chosen] = -np.inf
        return gains

    def add(self, channels: Sequence[int]) -> np.ndarray:
        """Choose some more channels; the energy that each explains on top of those before it."""
        own = self._columns(channels)
        factor = self._factor[:, : self._factored]
        column = self._gram[own].T - factor @ factor[own].T  # rows lie together, columns don't
        alone = self._diagonal[channels[0]] if len(channels) == 1 else column[own]
        triangle = np.linalg.cholesky(alone)
        new = column @ np.linalg.inv(triangle).T
        explained = np.linalg.solve(triangle, self._rest[own])
        self._rest -= new @ explained
        self._append(new)
        self.chosen += channels
        blocks = new.reshape(self.channels, self._taps, -1)
        self._diagonal = self._diagonal - blocks @ blocks.transpose(0, 2, 1)
        self._diagonal[self.chosen] = np.eye(self._taps)
        return np.square(explained).reshape(len(channels), -1).sum(1)

    def refresh(self) -> None:
        """Bring `explained` and `exchange_gains` up to date with `chosen`."""
        own = self._columns(self.chosen)
        self._inverse = inverse_spd(self._gram[np.ix_(own, own)])
        self._weights = self._inverse @ self._cross[own]
        self.explained = float(np.sum(self._weights * self._cross[own]))
        self._gains = None

    @property
    def exchange_gains(self) -> np.ndarray:
        """(chosen, C): the change of `explained` if channel c took the place of ``chosen[i]``.

        -inf for a channel that is chosen already. Worked out when it is asked for: after the last moves
        nobody does.
        """
        if self._gains is None:
            self._gains = self._exchanged()
        return self._gains

    def _exchanged(self) -> np.ndarray:
        taps, count = self._taps, len(self.chosen)
        others = np.setdiff1d(np.arange(self.channels), self.chosen)
        own, rows = self._columns(self.chosen), self._columns(others)
        between = self._gram[np.ix_(rows, own)]
        projection = between @ self._inverse
        rest = self._cross[rows] - projection @ self._cross[own]
        mixed = rest @ self._weights.T
        rest_blocks = rest.reshape(len(others), taps, -1)
        by_itself = 0.5 * (rest_blocks @ rest_blocks.transpose(0, 2, 1))
        left_of_all = self._diagonal_left(others, projection, between)

        # Without chosen channel i, what it alone explained comes back (block inverse formulas):
        # its coefficients are weights_i, its own variance given the others is alone_i.
        weight_blocks = self._weights.reshape(count, taps, -1)
        alone = np.linalg.inv(_diagonal_blocks(self._inverse, taps))
        energy = weight_blocks @ weight_blocks.transpose(0, 2, 1)
        loss = np.sum(alone * energy, axis=(1, 2))

        gains = np.full((count, self.channels), -np.inf)
        for i in range(count):  # one at a time, all of them together don't fit a processor's cache
            columns = slice(i * taps, (i + 1) * taps)
            pairs = np.ascontiguousarray(projection[:, columns])
            back = pairs @ alone[i]
            mixed_i = mixed[:, columns] + 0.5 * (back @ energy[i])
            # Of a channel c without i: what isn't explained of its own moments, `left`, and of its
            # cross moments, squared: half of it `half` and half its transpose, and what rest_c has.
            left = _products(back, pairs, taps) + left_of_all
            half = _products(back, mixed_i, taps) + by_itself
            gains[i, others] = 2 * np.einsum("cab,cab->c", np.linalg.inv(left), half) - loss[i]
        return gains

    def _append(self, new: np.ndarray) -> None:
        """Put columns to the factor, which doubles when it is full."""
        end = self._factored + new.shape[1]
        if end > self._factor.shape[1]:
            room = min(len(new), max(2 * self._factored, 4 * new.shape[1], end))
            larger = np.empty((len(new), room), order="F")
            larger[:, : self._factored] = self._factor[:, : self._factored]
            self._factor = larger
        self._factor[:, self._factored : end] = new
        self._factored = end

    def _diagonal_left(
        self, channels: np.ndarray, projection: np.ndarray, between: np.ndarray
    ) -> np.ndarray:
        """(channels, taps, taps): their own moments that the chosen ones don't explain."""
        shape = (len(channels), self._taps, -1)
        explained = projection.reshape(shape) @ between.reshape(shape).transpose(0, 2, 1)
        return _diagonal_blocks(self._gram, self._taps)[channels] - explained

    def _columns(self, channels: Sequence[int] | np.ndarray) -> np.ndarray:
        return (np.array(channels)[:, None] * self._taps + np.arange(self._taps)).ravel()


def _diagonal_blocks(matrix: np.ndarray, size: int) -> np.ndarray:
    """(n·size, n·size) -> (n, size, size)."""
    count = len(matrix) // size
    return np.stack([matrix[i * size : (i + 1) * size, i * size : (i + 1) * size] for i in range(count)])


def _products(left: np.ndarray, right: np.ndarray, taps: int) -> np.ndarray:
    """``left_c @ right_c.T`` of every channel's rows: two (C·taps, taps) give (C, taps, taps)."""
    shape = (-1, taps, taps)
    return left.reshape(shape) @ right.reshape(shape).swapaxes(1, 2)


def _traces(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """trace(left @ right) of stacks of symmetric matrices."""
    return np.sum(left * right, axis=(-2, -1))
