"""Hold signals back where their exceptions would come up inside Paddle's C++ and end the process."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

TO_END = tuple(  # Windows hasn't all of them
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


@contextlib.contextmanager
def deaf_threads() -> Iterator[None]:
    """Threads that are started in the block are never given a signal to end; this one is, afterwards.

    The system gives a signal to any thread that takes it. Python's handlers run in the main one anyhow,
    but where Paddle has put its own for a while, they run in that thread, and end the process.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TO_END)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def with_deaf_thread(shown: contextlib.AbstractContextManager[Any]) -> Iterator[Any]:
    """A context with a thread of its own, as a spinner, that is entered and left without interruption.

    It hides the cursor, and an exception on its way out would leave it hidden.
    """
    with contextlib.ExitStack() as stack:
        with deaf_threads():
            entered = stack.enter_context(shown)
        try:
            yield entered
        finally:
            with deaf_threads():
                stack.close()


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
