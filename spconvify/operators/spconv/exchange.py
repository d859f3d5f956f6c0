"""One output group's representative channels, and the exact gain of every possible exchange."""

from __future__ import annotations

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
        self.exchange_gains = np.zeros((0, self.channels))
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

    def add(self, channel: int) -> None:
        """Choose one more channel."""
        own = self._columns([channel])
        triangle = np.linalg.cholesky(self._diagonal[channel])
        factor = self._factor[:, : self._factored]
        column = self._gram[own].T - factor @ factor[own].T  # rows lie together, columns don't
        new = column @ np.linalg.inv(triangle).T
        self._rest -= new @ np.linalg.solve(triangle, self._rest[own])
        self._append(new)
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
        inverse = inverse_spd(self._gram[np.ix_(own, own)])
        weights = inverse @ self._cross[own]
        self.explained = float(np.sum(weights * self._cross[own]))
        projection = self._gram[own].T @ inverse
        rest = self._cross - projection @ self._cross[own]
        rest_blocks = rest.reshape(self.channels, taps, -1)
        weight_blocks = weights.reshape(count, taps, -1)

        # Without chosen channel i, what it alone explained comes back (block inverse formulas):
        # its coefficients are weights_i, its own variance given the others is alone_i.
        alone = np.linalg.inv(_diagonal_blocks(inverse, taps))
        energy = weight_blocks @ weight_blocks.transpose(0, 2, 1)
        loss = np.sum(alone * energy, axis=(1, 2))
        pairs = _by_chosen(projection, count)
        back = pairs @ alone
        mixed = _by_chosen(rest @ weights.T, count) + 0.5 * (back @ energy)

        # Of a channel c without i: what isn't explained of its own moments, `left`, and of its cross
        # moments, squared: half of it `half` and half its transpose, and what rest_c has by itself.
        shape = (count, self.channels, taps, taps)
        back = back.reshape(shape)
        left = back @ pairs.reshape(shape).swapaxes(2, 3)
        left += self._diagonal_left(projection, own)
        left[:, self.chosen] = np.eye(taps)
        half = back @ mixed.reshape(shape).swapaxes(2, 3)
        half += 0.5 * (rest_blocks @ rest_blocks.transpose(0, 2, 1))
        gains = 2 * np.einsum("icab,icab->ic", np.linalg.inv(left), half)
        self.exchange_gains = gains - loss[:, None]
        self.exchange_gains[:, self.chosen] = -np.inf

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


def _by_chosen(matrix: np.ndarray, count: int) -> np.ndarray:
    """(C·taps, count·taps) -> (count, C·taps, taps): one tall block per chosen channel."""
    return np.ascontiguousarray(matrix.reshape(len(matrix), count, -1).transpose(1, 0, 2))


def _traces(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """trace(left @ right) of stacks of symmetric matrices."""
    return np.sum(left * right, axis=(-2, -1))
