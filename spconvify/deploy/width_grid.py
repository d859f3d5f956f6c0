"""Times of a layer for numbers of channels between those that were measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Union

Channels = tuple[int, int]  # in, out
Time = Callable[[int], float]
_Number = Union[int, float]


def between(times: Mapping[Channels, float], channels: Channels) -> float:
    """The time for `channels`, from measured times of the same layer with others.

    Measured times are given as they are. In between a time is linear in either number of channels, so
    with the product of both: exact for what takes a fixed time, one for every channel of a map, and one
    for every multiply-accumulate. Towards fewer channels than were measured it doesn't fall faster than
    their number, nor does it rise more slowly towards more. Where both numbers were measured, but not
    together, the time is what the ratios of others make likely.

    Args:
        times: ms by (in, out) channels; at least one. `math.inf` for what can't be run.
        channels: (in, out).
    """
    ins, outs = (sorted({pair[axis] for pair in times}) for axis in (0, 1))

    def at(inputs: int) -> float:
        return _along(outs, lambda outputs: _corner(times, (inputs, outputs)), channels[1])

    return _along(ins, at, channels[0])


def _along(known: Sequence[int], time: Time, wanted: int) -> float:
    """The time at `wanted`, from those at the `known` numbers, which ascend."""
    if wanted in known:
        return time(wanted)
    if len(known) == 1:
        return time(known[0]) * wanted / known[0]
    above = next((i for i, number in enumerate(known) if number > wanted), len(known) - 1)
    low, high = known[max(above, 1) - 1], known[max(above, 1)]
    left, right = time(low), time(high)
    if math.isinf(left) or math.isinf(right):
        return math.inf
    line = left + (right - left) * (wanted - low) / (high - low)
    if low < wanted < high:
        return line
    return max(line, left * wanted / low) if wanted < low else max(line, right)


def _corner(times: Mapping[Channels, float], corner: Channels) -> float:
    """The time at a corner of the grid, or a likely one where that pair wasn't measured."""
    if corner in times:
        return times[corner]
    near = sorted(times, key=lambda pair: (_distance(pair, corner), pair))
    for pivot in near:
        sides = (corner[0], pivot[1]), (pivot[0], corner[1])
        if all(side in times for side in sides) and math.isfinite(times[pivot]):
            return times[sides[0]] * times[sides[1]] / times[pivot]
    return times[near[0]] * corner[0] * corner[1] / (near[0][0] * near[0][1])


def _distance(pair: Channels, other: Channels) -> float:
    return sum(abs(math.log(a / b)) for a, b in zip(pair, other))
