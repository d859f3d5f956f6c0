"""stdout belongs to the results: nothing else gets there, and an output that is gone is no crash."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from spconvify.printable import PLAIN_ERRORS

_STDOUT, _STDERR = 1, 2


class Stream:
    """A text stream that never raises: what its encoding hasn't is written in other signs.

    `lost` is the error with which something that was written got lost, or None; after it nothing more
    is written. A reader that has seen enough (`| head`) isn't an error, only the end.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._ended = False
        self.lost: OSError | ValueError | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write, as the stream can show it."""
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        shown = text.encode(encoding, PLAIN_ERRORS).decode(encoding)
        self._try(self._stream.write, shown)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """As every text stream has it."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is kept back."""
        self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        with contextlib.suppress(OSError, ValueError):
            return self._stream.isatty()
        return False

    def _try(self, action: Any, *arguments: Any) -> None:
        if self._ended:
            return
        try:
            action(*arguments)
        except (OSError, ValueError) as problem:  # a closed file is a ValueError
            self._ended = True
            if not isinstance(problem, BrokenPipeError):
                self.lost = problem
            _give_up(self._stream)


def _give_up(stream: TextIO) -> None:
    """Let what the stream still holds go nowhere, so that closing it doesn't fail as well."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Streams:
    """The program's outputs while it runs: `results` is stdout, also when that is kept for results.

    `saved` says whether the results are more than what is printed, `kept_for_results` whether a command
    has begun.
    """

    def __init__(self) -> None:
        _open_closed_ones()
        self._before = sys.stdout, sys.stderr
        self._own = _duplicate(sys.stdout)
        self.results = Stream(self._own or sys.stdout or _nowhere())
        self.saved = self.kept_for_results = False
        sys.stdout, sys.stderr = self.results, Stream(sys.stderr or _nowhere())

    def keep_for_results(self) -> None:
        """From here on what anybody prints, also past Python, goes to stderr."""
        self.kept_for_results = True
        sys.stdout = sys.stderr
        if self._own is not None:
            _flush_all()
            os.dup2(_STDERR, _STDOUT)

    def end(self) -> None:
        """Results are complete; what is printed from here on goes to stderr."""
        self.results.flush()
        if self._own is not None:
            with contextlib.suppress(OSError):  # what got lost has been told
                self._own.close()

    def restore(self) -> None:
        """As it was before."""
        self.results.flush()
        if self._own is not None:
            _flush_all()
            os.dup2(self._own.fileno(), _STDOUT)
            self._own.close()
        sys.stdout, sys.stderr = self._before


def _open_closed_ones() -> None:
    """Open standard streams that are closed: the next file would get the number, and what is printed."""
    for descriptor in range(_STDERR + 1):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _duplicate(stream: Any) -> TextIO | None:
    """A stream of our own to where stdout goes; None if Python's isn't the system's."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        if stream.fileno() == _STDOUT:
            stream.flush()
            return open(os.dup(_STDOUT), "w", encoding=stream.encoding, errors=PLAIN_ERRORS)
    return None


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _flush_all() -> None:
    """Write what Python and C still hold for stdout, before it goes elsewhere."""
    for stream in (sys.__stdout__, sys.stdout):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()  # type: ignore[union-attr]
    with contextlib.suppress(OSError, TypeError, AttributeError):  # Windows has no library of that name
        ctypes.CDLL(None).fflush(None)


@contextlib.contextmanager
def outputs(for_good: bool = False) -> Iterator[Streams]:
    """The program's outputs for the block; with `for_good` they stay, since the program ends then."""
    streams = Streams()
    try:
        yield streams
    finally:
        if for_good:
            streams.end()
        else:
            streams.restore()
