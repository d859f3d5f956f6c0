"""Nested lists, tuples and dictionaries: what stands at their ends, by name, and how to change it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Callable


def ends(value: Any, is_end: Callable[[Any], bool], name: str = "") -> Iterator[tuple[str, Any]]:
    """(name, end) of everything in `value` that `is_end`; others that hold nothing are left out.

    A name is made of the keys and positions on the way, ``boxes.0``; that of `value` itself is `name`.
    A dictionary's entries come in the order of their keys, whatever order somebody put them in: Paddle's
    exported programs sort them.
    """
    if is_end(value):
        yield name, value
        return
    if isinstance(value, Mapping):
        items: Any = _in_order(value)
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        return
    for key, item in items:
        yield from ends(item, is_end, f"{name}.{key}" if name else str(key))


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
