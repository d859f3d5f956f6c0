"""What the fuzzers of checkpoints and of exported programs share: damage, processes, and a command."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np

_WAITING = 4
_HANGS = (-signal.SIGPROF, -signal.SIGALRM)

# A content and another file's content -> a damaged content.
Change = Callable[[bytes, bytes], bytes]


def byte_changes(random: np.random.Generator) -> dict[str, Change]:
    """Damage that knows nothing of the format: name -> function."""

    def cut(content: bytes) -> tuple[int, int]:
        start, end = sorted(random.integers(0, len(content) + 1, 2))
        return int(start), int(min(end, start + random.integers(1, 64)))

    def flipped(content: bytes, _: bytes) -> bytes:
        changed = bytearray(content)
        for position in random.integers(0, len(content), random.integers(1, 9)):
            changed[position] ^= 1 << int(random.integers(8))
        return bytes(changed)

    def replaced(content: bytes, _: bytes) -> bytes:
        start, end = cut(content)
        return content[:start] + random.bytes(int(random.integers(0, 64))) + content[end:]

    def removed(content: bytes, _: bytes) -> bytes:
        start, end = cut(content)
        return content[:start] + content[end:]

    def doubled(content: bytes, _: bytes) -> bytes:
        start, end = cut(content)
        return content[:end] + content[start:]

    def spliced(content: bytes, other: bytes) -> bytes:
        return content[: random.integers(len(content))] + other[random.integers(len(other)) :]

    return {
        "cut off": lambda content, _: content[: random.integers(len(content))],
        "flipped": flipped,
        "replaced": replaced,
        "removed": removed,
        "doubled": doubled,
        "spliced": spliced,
    }


def in_processes(
    cases: Sequence[Any], judge: Callable[[Any], str], seconds: int, more_memory: int
) -> Iterator[str]:
    """`judge` of every case; where the process dies, that is the verdict, and the next goes on.

    Args:
        cases: what `judge` takes.
        judge: gives a line; one that begins with a capital letter is something wrong.
        seconds: of computing for each of them; of waiting, on a machine that is busy, some more.
        more_memory: bytes that the process may take besides what this one has.
    """
    left = list(cases)
    while left:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _judge(left, judge, seconds, more_memory, writing)
        os.close(writing)
        with open(reading, errors="replace") as pipe:
            found = pipe.read().splitlines()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield from found
        left = left[len(found) :]
        if left:
            yield "Hang" if status in _HANGS else f"Crash: {status}"
            left = left[1:]


def ended(verdict: str) -> bool:
    """Whether that is one of a process that died."""
    return verdict == "Hang" or verdict.startswith("Crash: ")


def _judge(
    cases: Sequence[Any], judge: Callable[[Any], str], seconds: int, more_memory: int, pipe: int
) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + more_memory, size + more_memory))
    try:
        for case in cases:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            signal.alarm(_WAITING * seconds)
            line = " ".join(judge(case).split())
            os.write(pipe, line.encode("utf-8", "backslashreplace") + b"\n")
        os._exit(0)
    finally:  # what `judge` raises mustn't go on in what the parent was doing
        traceback.print_exc()
        os._exit(1)


def show_progress(done: int, count: int) -> None:
    """On the standard error, in place."""
    print(f"\r{done}/{count}", end="", file=sys.stderr, flush=True)


def command_line(fuzz: Callable[..., Counter], description: str | None, *options: str) -> None:
    """Run ``fuzz(count, seed, folder, progress, **options)``; exit with 1 if something is wrong.

    Args:
        fuzz: gives the verdicts and how often there was each.
        description: of the command; its first line is shown.
        options: names of further ones, which take a text and are None by default.
    """
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    for option in options:
        parser.add_argument(f"--{option}")
    args = parser.parse_args()
    given = {option: getattr(args, option) for option in options}
    with tempfile.TemporaryDirectory() as folder:
        verdicts = fuzz(
            args.files,
            args.seed,
            Path(folder),
            lambda done: show_progress(done, args.files),
            **given,
        )
    print(file=sys.stderr)
    for name, times in verdicts.most_common():
        print(f"{times:6} {name}")
    raise SystemExit(any(name[0].isupper() for name in verdicts))
