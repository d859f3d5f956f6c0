"""How far the work is: one kind of callback everywhere, and a bar on a terminal or in a notebook."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Callable, Union

from spconvify.held_signals import with_deaf_thread
from spconvify.printable import one_line

Progress = Callable[..., None]  # (done, total, text); without a text the last one stays
Wanted = Union[Progress, bool, None]


@contextlib.contextmanager
def showing(wanted: Wanted, text: str, takes_long: bool = True) -> Iterator[Progress]:
    """Yields the callback to report to.

    Args:
        wanted: the caller's own callback; None and True for a bar where it is seen; False for none.
        text: what is done.
        takes_long: whether it is worth a bar, more than about a second, that is.
    """
    if callable(wanted):
        yield wanted
    elif wanted is False or not takes_long:
        yield nothing
    else:
        from rich.console import Console

        console = Console(stderr=True)
        seen = console.is_terminal or console.is_jupyter
        with bar(text, console, hidden=not seen) as move:
            yield move


@contextlib.contextmanager
def bar(text: str, console: Any, hidden: bool = False) -> Iterator[Progress]:
    """A bar with the time left, gone after the block; names in its text can't steer a terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True, disable=hidden)
    with with_deaf_thread(progress):
        task = progress.add_task(one_line(text), total=None)

        def move(done: int, total: int, now: str | None = None) -> None:
            said = None if now is None else one_line(now)
            progress.update(task, completed=done, total=total, description=said)

        yield move


def nothing(*_: Any) -> None:
    """Where nobody wants to know."""
