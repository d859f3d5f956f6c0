"""Whether shapes are those of a network with fewer channels between convolutions. Needs no Paddle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod

Pair = tuple[Sequence[int], Sequence[int]]  # a shape as it is, and as the network before has it


def channels_gone(differing: Iterable[Pair]) -> int:
    """How many values are gone, if that is a narrowing; 0 if it is none.

    In a narrowing as many convolutions give fewer channels as take fewer, by the same numbers; and
    what else is shorter is as short as one of these, as the BatchNorms between them are.

    Args:
        differing: of every tensor that has another shape.
    """
    given, taken = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
    vectors, gone = set[tuple[int, int]](), 0
    for shape, before in differing:
        if len(shape) != len(before) or not all(isinstance(size, int) for size in before):
            return 0
        if any(small > large for small, large in zip(shape, before)) or 0 in shape:
            return 0
        gone += prod(before) - prod(shape)
        if len(shape) == 1:
            vectors.add((before[0], shape[0]))
        elif len(shape) == 4 and tuple(shape[2:]) == tuple(before[2:]):
            if shape[0] < before[0]:
                given[before[0], shape[0]] += 1
            if shape[1] < before[1]:
                taken[before[1], shape[1]] += 1
        else:
            return 0
    return gone if given and given == taken and vectors <= set(given) else 0
