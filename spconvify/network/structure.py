"""Nested lists, tuples and dictionaries: what stands at their ends, by name, and how to change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable

Parts = Iterable[tuple[Any, Any]]  # of a value: the key or position, and what is there


def parts_of(value: Any) -> Parts:
    """What lists, tuples and dictionaries hold; nothing for anything else.

    A dictionary's entries come in the order of their keys, whatever order somebody put them in: Paddle's
    exported programs sort them.
    """
    if isinstance(value, Mapping):
        return _in_order(value)
    return enumerate(value) if isinstance(value, (list, tuple)) else ()


def ends(
    value: Any,
    is_end: Callable[[Any], bool],
    name: str = "",
    parts: Callable[[Any], Parts] = parts_of,
    _around: frozenset[int] = frozenset(),
) -> Iterator[tuple[str, Any]]:
    """(name, end) of everything in `value` that `is_end`; others that hold nothing are left out.

    A name is made of the keys and positions on the way, ``boxes.0``; that of `value` itself is `name`.
    `parts` says what is looked into; what holds itself isn't looked into again.
    """
    if is_end(value):
        yield name, value
    elif id(value) not in _around:
        for key, item in parts(value):
            inner = f"{name}.{key}" if name else str(key)
            yield from ends(item, is_end, inner, parts, _around | {id(value)})


def mapped(value: Any, is_end: Callable[[Any], bool], change: Callable[[Any], Any]) -> Any:
    """The same lists, tuples and dictionaries with ``change(end)`` in the place of every end.

    Whatever else there is, as a flag or a name, stays.
    """
    if is_end(value):
        return change(value)
    if isinstance(value, Mapping):
        return {key: mapped(item, is_end, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [mapped(item, is_end, change) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value


def _in_order(value: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    try:
        return sorted(value.items(), key=lambda item: item[0])
    except TypeError:  # keys of several kinds
        return sorted(value.items(), key=lambda item: str(item[0]))
