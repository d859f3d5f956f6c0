"""Refuse what doesn't fit this machine's memory, before any of it is taken."""

from __future__ import annotations

import os

from spconvify.errors import ArgumentError

_UNKNOWN = 16 << 30  # where the system doesn't tell


def check_memory(needed: int, what: str) -> None:
    """Refuse more bytes than the machine has.

    Raises:
        ArgumentError: with both numbers, and what to do.
    """
    has = _physical()
    if needed > has:
        raise ArgumentError(
            f"{what} need {needed / 2**30:,.1f} GiB of memory, and this machine has {has / 2**30:,.1f}; "
            "use fewer, or smaller ones"
        )


def _physical() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN
