"""Which of many images are taken: spread over all of them, and the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Callable, TypeVar

import numpy as np

Item = TypeVar("Item")


def sample_rows(total: int, count: int | None, seed: int = 0) -> np.ndarray:
    """`count` of the numbers from 0 to `total`, in order: one from each of so many equal stretches.

    So images that are sorted by class give every class, and those that come in turns do, too.
    """
    if count is None or count >= total:
        return np.arange(total)
    edges = np.arange(count + 1) * total // count
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])


def in_turns(items: Sequence[Item], group: Callable[[Item], Hashable], seed: int = 0) -> list[Item]:
    """All items, in an order whose beginning is a sample: one of each group, then the next of each.

    The order of the groups, and that within a group, is random.
    """
    random = np.random.default_rng(seed)
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(group(item), []).append(item)
    members = list(groups.values())
    rounds = [
        (place, turn, item)
        for turn, index in enumerate(random.permutation(len(members)))
        for place, item in enumerate(_shuffled(members[index], random))
    ]
    return [item for *_, item in sorted(rounds, key=lambda entry: entry[:2])]


def _shuffled(items: Sequence[Item], random: np.random.Generator) -> list[Item]:
    return [items[index] for index in random.permutation(len(items))]
