"""What the command line prints on: results on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from spconvify.cli.signals import end_if_asked
from spconvify.cli.streams import Streams
from spconvify.held_signals import with_deaf_thread
from spconvify.printable import one_line, printable
from spconvify.progress import Progress, bar

# Piped output isn't 80 columns wide: don't break its lines.
_PIPE_WIDTH = 160

stderr = Console(stderr=True, highlight=False, markup=False, emoji=False)
_streams: Streams | None = None  # of the program that runs


def use(streams: Streams | None) -> None:
    """Print results there."""
    global _streams
    _streams = streams


def _results() -> Any:
    return sys.stdout if _streams is None else _streams.results


def stdout() -> Console:
    """The console for results; without colours and folded lines when it isn't a terminal."""
    file = _results()
    width = None if file.isatty() else _PIPE_WIDTH
    return Console(file=file, highlight=False, markup=False, emoji=False, width=width)


def result(text: str) -> None:
    """Print a result that is complete as it is: JSON, CSV, Markdown."""
    _results().write(text + "\n")
    _results().flush()


def result_line(text: str) -> None:
    """One line of a result, whatever the names in it hold."""
    stdout().print(Text(printable(text)), soft_wrap=True)


def error(message: str) -> None:
    """One line on stderr, whatever the message's own line breaks."""
    stderr.print(Text(f"spconvify: error: {one_line(str(message))}", "red"), soft_wrap=True)


def note(message: str, quiet: bool = False, style: str = "dim") -> None:
    """A line on stderr that isn't a result."""
    if not quiet:
        stderr.print(Text(printable(message), style), soft_wrap=True)


@contextlib.contextmanager
def working(message: str, quiet: bool = False) -> Iterator[None]:
    """A spinner on the terminal while something takes time; nothing when piped or quiet."""
    with contextlib.ExitStack() as stack:
        if stderr.is_terminal and not quiet:
            stack.enter_context(with_deaf_thread(stderr.status(Text(one_line(message)))))
        yield
    end_if_asked()


@contextlib.contextmanager
def progress_bar(message: str, quiet: bool = False) -> Iterator[Progress]:
    """Yields a function of (done, total, message) that moves a bar with the time left."""
    with bar(message, stderr, hidden=quiet or not stderr.is_terminal) as move:

        def step(*now: Any) -> None:
            end_if_asked()
            move(*now)

        yield step
    end_if_asked()
