"""One output group's representative channels, and the exact gain of every possible exchange."""

from __future__ import annotations

import numpy as np


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
        self.exchange_gains = np.zeros((0, self.channels))
        self._rest = cross.copy()
        self._factor = np.zeros((len(gram), 0))
        self._diagonal = _diagonal_blocks(gram, taps)

    def addition_gains(self) -> np.ndarray:
        """(C,): energy that every channel would explain on top of the chosen ones."""
        rest = self._rest.reshape(self.channels, self._taps, -1)
        gains = _traces(np.linalg.inv(self._diagonal), rest @ rest.transpose(0, 2, 1))
        gains[self.chosen] = -np.inf
        return gains

    def add(self, channel: int) -> None:
        """Choose one more channel."""
        own = self._columns([channel])
        triangle = np.linalg.cholesky(self._diagonal[channel])
        column = self._gram[:, own] - self._factor @ self._factor[own].T
        new = np.linalg.solve(triangle, column.T).T
        self._rest -= new @ np.linalg.solve(triangle, self._rest[own])
        self._factor = np.hstack([self._factor, new])
        self.chosen.append(channel)
        blocks = new.reshape(self.channels, self._taps, self._taps)
        self._diagonal = self._diagonal - blocks @ blocks.transpose(0, 2, 1)
        self._diagonal[self.chosen] = np.eye(self._taps)

    def refresh(self) -> None:
        """Bring `explained` and `exchange_gains` up to date with `chosen`.

        ``exchange_gains[i, c]`` is the change of `explained` if channel c took the place of
        ``chosen[i]``; -inf for a channel that is chosen already.
        """
        own, taps = self._columns(self.chosen), self._taps
        count = len(self.chosen)
        inverse = np.linalg.inv(self._gram[np.ix_(own, own)])
        weights = inverse @ self._cross[own]
        self.explained = float(np.sum(weights * self._cross[own]))
        projection = self._gram[:, own] @ inverse
        rest = self._cross - projection @ self._cross[own]
        rest_blocks = rest.reshape(self.channels, taps, -1)
        weight_blocks = weights.reshape(count, taps, -1)

        # Without chosen channel i, what it alone explained comes back (block inverse formulas):
        # its coefficients are weights_i, its own variance given the others is alone_i.
        alone = np.linalg.inv(_diagonal_blocks(inverse, taps))
        loss = _traces(alone, weight_blocks @ weight_blocks.transpose(0, 2, 1))
        back = _pair_blocks(projection, self.channels, count, taps) @ alone[:, None]
        energy = self._energy_without(back, rest, rest_blocks, weights, weight_blocks)
        left = self._diagonal_left(projection, own)
        left = left[None] + back @ _pair_blocks(projection, self.channels, count, taps).swapaxes(2, 3)
        left[:, self.chosen] = np.eye(taps)
        self.exchange_gains = _traces(np.linalg.inv(left), energy) - loss[:, None]
        self.exchange_gains[:, self.chosen] = -np.inf

    def _energy_without(self, back, rest, rest_blocks, weights, weight_blocks) -> np.ndarray:
        """(count, C, taps, taps): every channel's unexplained cross moments, squared, without i."""
        mixed = _pair_blocks(rest @ weights.T, self.channels, len(weight_blocks), self._taps)
        mixed = back @ mixed.swapaxes(2, 3)
        own = weight_blocks @ weight_blocks.transpose(0, 2, 1)
        energy = back @ own[:, None] @ back.swapaxes(2, 3)
        energy += mixed
        energy += mixed.swapaxes(2, 3)
        energy += rest_blocks @ rest_blocks.transpose(0, 2, 1)
        return energy

    def _diagonal_left(self, projection: np.ndarray, own: np.ndarray) -> np.ndarray:
        """(C, taps, taps): every channel's own moments that the chosen ones don't explain."""
        shape = (self.channels, self._taps, len(own))
        explained = projection.reshape(shape) @ self._gram[:, own].reshape(shape).transpose(0, 2, 1)
        return _diagonal_blocks(self._gram, self._taps) - explained

    def _columns(self, channels: list[int]) -> np.ndarray:
        return (np.array(channels)[:, None] * self._taps + np.arange(self._taps)).ravel()


def _diagonal_blocks(matrix: np.ndarray, size: int) -> np.ndarray:
    """(n·size, n·size) -> (n, size, size)."""
    count = len(matrix) // size
    return np.stack([matrix[i * size : (i + 1) * size, i * size : (i + 1) * size] for i in range(count)])


def _pair_blocks(matrix: np.ndarray, channels: int, count: int, taps: int) -> np.ndarray:
    """(C·taps, count·taps) -> (count, C, taps, taps): the block of every (chosen, channel) pair."""
    return matrix.reshape(channels, taps, count, taps).transpose(2, 0, 1, 3)


def _traces(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """trace(left @ right) of stacks of symmetric matrices."""
    return np.sum(left * right, axis=(-2, -1))
