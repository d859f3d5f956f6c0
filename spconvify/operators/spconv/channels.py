"""Which input channels become representative, and in which group: chosen by exact error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from spconvify.calibration.moments import Moments
from spconvify.operators.spconv.cholesky import solve_spd
from spconvify.operators.spconv.exchange import GroupSelection
from spconvify.operators.spconv.solve import loaded

PROPOSALS = 300
# Of the features' mean variance: more than in the fit, so that factors of collinear channels exist.
CHOICE_RIDGE = 1e-4
_NEGLIGIBLE = 1e-6  # of what is explained; a smaller gain isn't worth a step
# The greedy selection takes at least as many steps for a group: one channel in each, up to as many.
AT_LEAST_STEPS = 32
# Of what is explained: a search that brings no more in a round ends. The rounds' gains fall, and a table
# of gains is dear; what later ones would still bring, all together, is about that much.
_SETTLED = 1e-3


class Problem(NamedTuple):
    """What only a 3x3 can explain: moments of the taps once every pooled feature is taken out.

    `gram` (C·taps, C·taps); `cross` holds a (C·taps, L / groups) block per output group.
    """

    gram: np.ndarray
    cross: list[np.ndarray]
    taps: int


class _Move(NamedTuple):
    gain: float
    steps: list[tuple[int, int, int]]  # group, index in the group, new channel
    channels: frozenset[int]


def reduce_problem(
    moments: Moments, groups: int, gain: np.ndarray | None = None, ridge: float = CHOICE_RIDGE
) -> Problem:
    """Eliminate the pooled features, which every split has in common."""
    taps = np.arange(moments.channels * moments.taps)
    pooled = loaded(moments.gram[np.ix_(moments.pooled, moments.pooled)], moments, ridge)
    between = moments.gram[np.ix_(moments.pooled, taps)]
    explained = solve_spd(pooled, np.hstack([between, moments.cross[moments.pooled]]))
    gram = moments.gram[: len(taps), : len(taps)] - between.T @ explained[:, : len(taps)]
    gram = loaded(gram, moments, ridge)
    cross = moments.cross[: len(taps)] - between.T @ explained[:, len(taps) :]
    if gain is not None:
        cross = cross * gain
    return Problem(gram, np.split(cross, groups, axis=1), moments.taps)


def choose_channels(problem: Problem, per_group: int, proposals: int = PROPOSALS) -> list[list[int]]:
    """The representative channels of every group: greedy selection, then a local search.

    Both work with exact errors. The search weighs every exchange of a representative with an
    uncertain channel, every swap between two groups, and every hand-over between groups that an
    uncertain channel fills up; it carries out the best ones until they help no more than
    `_SETTLED`, or `proposals` were tried. The error never rises. Deterministic.
    """
    groups = [GroupSelection(problem.gram, cross, problem.taps) for cross in problem.cross]
    _select_greedily(groups, per_group)
    for group in groups:
        group.refresh()
    at_once = max(1, per_group // 4)  # a table of gains is dear where there are many channels
    while proposals > 0:
        floor = _NEGLIGIBLE * sum(group.explained for group in groups)
        moves = _compatible([move for move in _moves(groups) if move.gain > floor], at_once)
        if not moves:
            break
        proposals -= len(moves)
        before = sum(group.explained for group in groups)
        _carry_out(groups, moves)
        if sum(group.explained for group in groups) < before * (1 + _SETTLED):
            break
    return [list(group.chosen) for group in groups]


def _select_greedily(groups: Sequence[GroupSelection], per_group: int) -> None:
    """Give the channel that helps a group most to that group, until all groups are full.

    Where a group takes many channels, it takes the best few at once: the search makes up for it.
    """
    free = np.ones(groups[0].channels, dtype=bool)
    gains = [group.addition_gains() for group in groups]
    at_once = max(1, per_group // AT_LEAST_STEPS)
    while any(len(group.chosen) < per_group for group in groups):
        open_groups = [k for k, group in enumerate(groups) if len(group.chosen) < per_group]
        table = np.where(free, np.stack([gains[k] for k in open_groups]), -np.inf)
        row, first = divmod(int(np.argmax(table)), table.shape[1])
        group = groups[open_groups[row]]
        best = [first]
        if at_once > 1:
            own = np.where(table[row] >= table.max(0), table[row], -np.inf)  # no group has more use for
            own[first] = -np.inf
            most = min(at_once, per_group - len(group.chosen)) - 1
            best += [int(c) for c in np.argsort(-own)[:most] if np.isfinite(own[c])]
        group.add(best)
        free[best] = False
        gains[open_groups[row]] = group.addition_gains()


def _carry_out(groups: Sequence[GroupSelection], moves: list[_Move]) -> None:
    """Do all moves; if together they give less than the best one promises, only that one."""
    before = [list(group.chosen) for group in groups]
    explained = sum(group.explained for group in groups)
    _replace(groups, moves)
    if len(moves) > 1 and sum(group.explained for group in groups) < explained + moves[0].gain:
        for group, chosen in zip(groups, before):
            group.chosen = chosen
        _replace(groups, moves[:1])


def _replace(groups: Sequence[GroupSelection], moves: list[_Move]) -> None:
    for move in moves:
        for index, position, channel in move.steps:
            groups[index].chosen[position] = channel
    for group in groups:
        group.refresh()


def _compatible(moves: list[_Move], most: int) -> list[_Move]:
    """The best moves that share no channel."""
    used: set[int] = set()
    chosen: list[_Move] = []
    for move in sorted(moves, key=lambda move: -move.gain):
        if used.isdisjoint(move.channels):
            chosen.append(move)
            used |= move.channels
        if len(chosen) == most:
            break
    return chosen


def _moves(groups: Sequence[GroupSelection]) -> Iterator[_Move]:
    """For every representative channel, the best move of each kind that sends it away."""
    taken = np.zeros(groups[0].channels, dtype=bool)
    for group in groups:
        taken[group.chosen] = True
    free = np.flatnonzero(~taken)
    for first, group in enumerate(groups):
        if len(free):
            yield from _exchanges(first, group, free)
        for second in range(len(groups)):
            if second != first:
                yield from _swaps(first, second, groups)
                if len(free):
                    yield from _hand_overs(first, second, groups, free)


def _exchanges(index: int, group: GroupSelection, free: np.ndarray) -> Iterator[_Move]:
    table = group.exchange_gains[:, free]
    for position, column in enumerate(table.argmax(1)):
        old, new = group.chosen[position], int(free[column])
        yield _Move(table[position, column], [(index, position, new)], frozenset({old, new}))


def _swaps(first: int, second: int, groups: Sequence[GroupSelection]) -> Iterator[_Move]:
    taker, giver = groups[first], groups[second]
    gains = taker.exchange_gains[:, giver.chosen] + giver.exchange_gains[:, taker.chosen].T
    for i, old in enumerate(taker.chosen):
        j = int(gains[i].argmax())
        steps = [(first, i, giver.chosen[j]), (second, j, old)]
        yield _Move(gains[i, j], steps, frozenset({old, giver.chosen[j]}))


def _hand_overs(
    first: int, second: int, groups: Sequence[GroupSelection], free: np.ndarray
) -> Iterator[_Move]:
    """From `second` to `first`, after which a free channel joins `second`."""
    taker, giver = groups[first], groups[second]
    filling = giver.exchange_gains[:, free]
    gains = taker.exchange_gains[:, giver.chosen] + filling.max(1)
    for i, old in enumerate(taker.chosen):
        j = int(gains[i].argmax())
        new = int(free[filling[j].argmax()])
        steps = [(first, i, giver.chosen[j]), (second, j, new)]
        yield _Move(gains[i, j], steps, frozenset({old, giver.chosen[j], new}))
