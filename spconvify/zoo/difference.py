"""How the shapes of a state dict differ from a fingerprint, and how to say it."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spconvify.zoo.fingerprint_table import SymbolicShape, multiple

_SHOWN = 3  # keys of each kind in a message
_quote = reprlib.Repr()
_quote.maxstring = 120


@dataclass(frozen=True)
class Difference:
    """What a state dict has that a fingerprint hasn't, and the other way round.

    Attributes:
        missing: names that only the fingerprint has.
        unexpected: names that only the state dict has.
        misshaped: name -> (shape in the state dict, shape in the fingerprint).
        common: how many names both have.
        symbols: what the number of classes, of input channels, and the width came out as.
    """

    missing: list[str]
    unexpected: list[str]
    misshaped: dict[str, tuple[tuple[int, ...], SymbolicShape]]
    common: int
    symbols: dict[str, int]

    @property
    def share(self) -> float:
        """Share of all names that both have, in [0, 1]."""
        return self.common / max(1, self.common + len(self.missing) + len(self.unexpected))

    @property
    def likeness(self) -> tuple[float, int]:
        """For comparison: the greater, the more alike. Families share their names, not their shapes."""
        return (self.share, -len(self.misshaped))

    def describe(self) -> str:
        """The first few names of each kind, in one line."""
        misshaped = (
            f"{_quote.repr(key)} is {_times(found)} instead of {_times(expected)}"
            for key, (found, expected) in self.misshaped.items()
        )
        listed = {
            "missing": _listed(map(_quote.repr, sorted(self.missing))),
            "unexpected": self.describe_unexpected(),
            "misshaped": _listed(misshaped),
        }
        return "; ".join(f"{kind}: {text}" for kind, text in listed.items() if text)

    def describe_unexpected(self) -> str:
        """The first few names that only the state dict has."""
        return _listed(map(_quote.repr, self.unexpected))


def difference(
    expected: Mapping[str, SymbolicShape],
    shapes: Mapping[str, tuple[int, ...]],
    optional: frozenset[str],
) -> Difference:
    """Compare a state dict with a fingerprint; no `optional` name counts as missing."""
    missing = [key for key in expected if key not in shapes and key not in optional]
    unexpected = [key for key in shapes if key not in expected]
    common = [key for key in expected if key in shapes]
    symbols = _symbols((expected[key], shapes[key]) for key in common)
    misshaped = {}
    for key in common:
        bound = _bound(expected[key], symbols)
        if bound != shapes[key]:
            misshaped[key] = (shapes[key], bound)
    return Difference(missing, unexpected, misshaped, len(common), symbols)


def _symbols(pairs: Iterable[tuple[SymbolicShape, tuple[int, ...]]]) -> dict[str, int]:
    """What the symbols stand for: the largest number that any shape has in their place.

    In a network that was narrowed some shapes have less than the network it comes from, and none more.
    """
    symbols: dict[str, int] = {}
    for expected, found in pairs:
        if len(expected) == len(found):
            for symbol, size in zip(expected, found):
                if isinstance(symbol, str):
                    times, name = multiple(symbol)
                    if size >= times:
                        symbols[name] = max(symbols.get(name, 0), size // times)
    return symbols


def _bound(expected: SymbolicShape, symbols: Mapping[str, int]) -> SymbolicShape:
    """`expected` with numbers for its symbols."""
    return tuple(_number(size, symbols) if isinstance(size, str) else size for size in expected)


def _number(symbol: str, symbols: Mapping[str, int]) -> int | str:
    times, name = multiple(symbol)
    return times * symbols[name] if name in symbols else symbol


def _listed(texts: Iterable[str]) -> str:
    every = list(texts)
    rest = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + rest


def _times(shape: SymbolicShape) -> str:
    return "x".join(map(str, shape)) or "a scalar"
