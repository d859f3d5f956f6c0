"""Signals that end the program end it by an exception, so that temporary files and processes go."""

from __future__ import annotations

import signal
import sys
from typing import Any

# A closed terminal or a lost connection sends SIGHUP, Ctrl-\\ SIGQUIT. Windows has only the first.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


def end_in_order() -> None:
    """Handle all of them; one that is ignored, as `nohup` has SIGHUP, stays so."""
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: Any) -> None:
    for other in ENDING:
        signal.signal(other, _nothing)  # tidying up isn't interrupted by the next one
    sys.exit(128 + number)


def _nothing(_number: int, _frame: Any) -> None:
    pass
