"""Hold signals back where their exceptions would come up inside Paddle's C++ and end the process."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Call Python's handlers of Ctrl-C and of other signals only after the block.

    The handlers are exchanged, and the signals not blocked: another thread would be given them, and
    Python runs its handlers in the main thread all the same. What is handled in C, or not at all, stays.
    """
    if threading.current_thread() is not threading.main_thread():  # in which no handler ever runs
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    held = {n: handler for n, handler in handlers.items() if callable(handler)}

    def note(which: int, _: object) -> None:
        came.append(which)

    for number in held:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        for which in dict.fromkeys(came):
            signal.raise_signal(which)
