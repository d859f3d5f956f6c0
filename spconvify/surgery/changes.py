"""What a plan is made of: the kinds of changes, by name.

To add a kind: a `Change` with a `kind` of its own, and a line in `KINDS`.
"""

from __future__ import annotations

from typing import Any

from spconvify.errors import ArgumentError
from spconvify.surgery.change import Change
from spconvify.surgery.narrow import Narrow
from spconvify.surgery.refit import Refit
from spconvify.surgery.replace import Replace

__all__ = ["KINDS", "Change", "Narrow", "Refit", "Replace", "change_from"]

KINDS: dict[str, type[Change]] = {kind.kind: kind for kind in (Replace, Narrow, Refit)}


def change_from(values: Any) -> Change:
    """A change from its JSON.

    Raises:
        ArgumentError: if its kind is unknown, or a value is out of range.
        AttributeError, KeyError, TypeError: if it isn't the JSON of a change at all.
    """
    rest = dict(values)
    kind = rest.pop("change")
    if kind not in KINDS:
        raise ArgumentError(f"change {kind!r} is unknown; there are: {', '.join(KINDS)}")
    return KINDS[kind].from_dict(rest)
