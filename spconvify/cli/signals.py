"""Signals that end the program end it by an exception, so that temporary files and processes go.

The exception comes up wherever Python happens to be: a network's forward, an import or a callback of
Paddle's may make another error of it, or nothing at all. So what came is also remembered.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

# A closed terminal or a lost connection sends SIGHUP, Ctrl-\\ SIGQUIT. Windows has only the first.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)
_came: int | None = None  # the first signal to end since the program began


def end_in_order() -> None:
    """Handle all of them, Ctrl-C too; one that is ignored, as `nohup` has SIGHUP, stays so."""
    global _came
    _came = None
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def over() -> None:
    """The work is done: from here on Ctrl-C ends the program without a word."""
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def signal_that_came() -> int | None:
    """The signal that is to end the program, whatever became of its exception."""
    return _came


def end_if_asked() -> None:
    """End the program if a signal came whose exception somebody has swallowed.

    Raises:
        KeyboardInterrupt: after Ctrl-C.
        SystemExit: after another signal.
    """
    if _came == signal.SIGINT:
        raise KeyboardInterrupt
    if _came is not None:
        sys.exit(128 + _came)


def _interrupt(number: int, _frame: Any) -> None:
    global _came
    _came = _came or number
    raise KeyboardInterrupt


def _end(number: int, _frame: Any) -> None:
    global _came
    _came = _came or number
    for other in ENDING:
        signal.signal(other, _nothing)  # tidying up isn't interrupted by the next one
    sys.exit(128 + number)


def _nothing(_number: int, _frame: Any) -> None:
    pass
