"""How long a child process is waited for: long if it computes, not so long if it does nothing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from spconvify.errors import ArgumentError, EngineError

VARIABLE = "SPCONVIFY_TIMEOUT"
SLICE_SECONDS = 0.5  # of waiting
_COMPUTING_SECONDS = 1800.0
_IDLE_SECONDS = 45.0
_USER_TIME, _STATE_END = 11, ")"  # in /proc/PID/stat, counted behind the command's name


class Patience:
    """Counts the time that one answer of a process takes, and says when it is enough.

    Time is counted in the slices that this process really waits: while both are stopped, by Ctrl-Z say,
    none passes. Where the system tells how much a process has computed, one that computes nothing at all
    is given up earlier.

    Raises:
        ArgumentError: if `VARIABLE` is set to something that isn't a time.
    """

    def __init__(self, pid: int):
        set_by_user = limit()
        self._computing = set_by_user or _COMPUTING_SECONDS
        self._idle = set_by_user or _IDLE_SECONDS
        self._pid, self._waited, self._still = pid, 0.0, 0.0
        self._used = processor_time(pid)

    def check(self, seconds: float = SLICE_SECONDS) -> None:
        """Count `seconds` of waiting.

        Raises:
            EngineError: once it is enough.
        """
        used = processor_time(self._pid)
        self._waited += seconds
        self._still = self._still + seconds if used is not None and used == self._used else 0.0
        self._used = used
        if self._still >= self._idle:
            how = f"has done nothing for {self._still:.0f} s"
        elif self._waited >= self._computing:
            how = f"has taken {self._waited:.0f} s"
        else:
            return
        raise EngineError(
            f"its process {self._pid} doesn't answer: it {how}, and was ended; set {VARIABLE}=SECONDS "
            "in the environment to wait longer"
        )


def limit() -> float | None:
    """The seconds that the user allows in `VARIABLE`; None if it isn't set.

    Raises:
        ArgumentError: if it isn't a number above 0.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise ArgumentError(f"{VARIABLE}={text!r} isn't a time in seconds; write it like {VARIABLE}=600")
    return seconds


def processor_time(pid: int) -> int | None:
    """What a process and those that it has started have computed, in clock ticks; None if unknown."""
    times = [_ticks(each) for each in (pid, *_descendants(pid))]
    known = [time for time in times if time is not None]
    return sum(known) if known else None


def _ticks(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # Its own user and system time, and that of children which it has waited for.
    fields = text.rpartition(_STATE_END)[2].split()[_USER_TIME : _USER_TIME + 4]
    return sum(map(int, fields))


def _descendants(pid: int) -> Iterator[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return
    for child in map(int, text.split()):
        yield child
        yield from _descendants(child)
