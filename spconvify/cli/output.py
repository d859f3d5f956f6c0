"""What the command line prints on: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Piped output isn't 80 columns wide: don't break its lines.
_PIPE_WIDTH = 160

stderr = Console(stderr=True, highlight=False)


def stdout() -> Console:
    """The console for results; without colours and folded lines when it isn't a terminal."""
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return Console(highlight=False, width=width)


def error(message: str) -> None:
    """One line on stderr, whatever the message's own line breaks."""
    line = " ".join(str(message).split())
    stderr.print(f"spconvify: error: {line}", style="red", markup=False, soft_wrap=True)


def note(message: str, quiet: bool = False) -> None:
    """A line on stderr that isn't a result."""
    if not quiet:
        stderr.print(message, style="dim", markup=False, soft_wrap=True)


@contextlib.contextmanager
def working(message: str, quiet: bool = False) -> Iterator[None]:
    """A spinner on the terminal while something takes time; nothing when piped or quiet."""
    with contextlib.ExitStack() as stack:
        if stderr.is_terminal and not quiet:
            stack.enter_context(stderr.status(message))
        yield


@contextlib.contextmanager
def progress_bar(message: str, quiet: bool = False) -> Iterator:
    """Yields a function of (done, total, message) that moves a bar with the time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    hidden = quiet or not stderr.is_terminal
    with Progress(*columns, console=stderr, transient=True, disable=hidden) as progress:
        task = progress.add_task(message, total=None)

        def move(done: int, total: int, message: str | None = None) -> None:
            progress.update(task, completed=done, total=total, description=message)

        yield move
