"""Program: what an exported file says, as plain data; operators are called as Paddle 3 calls them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from spconvify.errors import CheckpointError
from spconvify.printable import one_line, printable

# Of a file that describes a network, in bytes and in its parts (messages, or lists and objects), and of
# the constants in it, in numbers. The largest that are known have a few million bytes; a damaged or a
# made one may claim anything, and a part of two bytes takes some hundred in Python.
LARGEST_FILE = 64 << 20
MOST_PARTS = 1 << 21
LARGEST_CONSTANT = 1 << 24


@dataclass
class Node:
    """One operator.

    Attributes:
        op: its name in Paddle 3, without the dialect.
        inputs: ids of values; None for one that isn't given, a list for several in one place.
        attrs: by name.
        outputs: ids of its results.
        parts: ids of the elements of its first result, by index, where that is a list.
    """

    op: str
    inputs: list[Any]
    attrs: dict[str, Any]
    outputs: list[str]
    parts: dict[int, str] = field(default_factory=dict)

    def results(self) -> list[str]:
        """The ids of all that it gives."""
        return [self.parts[index] for index in sorted(self.parts)] or self.outputs


@dataclass(frozen=True)
class Feed:
    """One input: its name, the id of its value, its shape (-1 for any size), and its dtype."""

    name: str
    id: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Fetch:
    """One output: its name (what a predictor calls it), and the id of its value."""

    name: str
    id: str


@dataclass
class Program:
    """An exported network.

    Attributes:
        nodes: in the order in which they run.
        feeds, fetches: its inputs and outputs, in order.
        parameters: id -> name in the .pdiparams.
        shapes: id -> shape, where it is known; -1 for any size.
        unsaved: id -> name of what it needs and the .pdiparams hasn't.
    """

    nodes: list[Node] = field(default_factory=list)
    feeds: list[Feed] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)
    unsaved: dict[str, str] = field(default_factory=dict)


def each(values: Sequence[Any]) -> Iterator[str]:
    """The ids in a node's inputs."""
    for value in values:
        if isinstance(value, list):
            yield from each(value)
        elif value is not None:
            yield value


def check_size(shape: Sequence[int], what: str = "a constant", largest: int = LARGEST_CONSTANT) -> int:
    """How many numbers are in `shape`; refuses what no network has, before there is memory for it.

    Raises:
        CheckpointError: says how large it would be.
    """
    if any(type(size) is not int or size < 0 for size in shape) or math.prod(shape) > largest:
        raise CheckpointError(f"it holds {what} of the shape {printable(str(list(shape)))}")
    return math.prod(shape)


class Allowance:
    """What the constants of one program may take together: each for itself may be small."""

    def __init__(self) -> None:
        self._left = LARGEST_CONSTANT

    def take(self, shape: Sequence[int]) -> None:
        """Count a constant of this shape.

        Raises:
            CheckpointError: if it is too large, or they are too many.
        """
        self._left -= check_size(shape)
        if self._left < 0:
            raise CheckpointError(f"it holds constants of more than {LARGEST_CONSTANT} numbers")


def unsupported(what: str) -> CheckpointError:
    """The error for a program that isn't damaged, but can't become a network again."""
    return CheckpointError(
        f"its program has {printable(one_line(what))}, which can't be made a layer again; give the "
        "network's checkpoint (.pdparams), and its architecture if it isn't a known one"
    )
