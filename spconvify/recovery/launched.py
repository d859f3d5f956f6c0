"""Which of the processes that ``paddle.distributed.launch`` started this is. Needs no Paddle."""

from __future__ import annotations

import os

from spconvify.errors import ArgumentError

_COUNT, _RANK = "PADDLE_TRAINERS_NUM", "PADDLE_TRAINER_ID"
_OTHERS = ("PADDLE_CURRENT_ENDPOINT", "PADDLE_TRAINER_ENDPOINTS")


def launched() -> tuple[int, int]:
    """This process's rank, and how many there are: (0, 1) alone.

    A rank says something only where there are several: a cluster leaves it in containers.

    Raises:
        ArgumentError: names the variable that can't be, or is missing.
    """
    count = _number(_COUNT, "1", 1)
    if count == 1:
        return 0, 1
    for name in (_RANK, *_OTHERS):
        if name not in os.environ:
            raise ArgumentError(f"{_COUNT} is {count}, and {name} isn't set; {_remedy()}")
    rank = _number(_RANK, "", 0)
    if rank >= count:
        raise ArgumentError(f"{_RANK} is {rank}, and there are {count} processes; {_remedy()}")
    return rank, count


def first_process() -> bool:
    """Whether this is the one that writes and talks.

    Raises:
        ArgumentError: see `launched`.
    """
    return launched()[0] == 0


def _number(name: str, default: str, least: int) -> int:
    text = os.environ.get(name, default)
    if not (text.isascii() and text.isdigit() and len(text) < 8 and int(text) >= least):
        raise ArgumentError(f"{name} is {text!r}, not a number from {least} on; {_remedy()}")
    return int(text)


def _remedy() -> str:
    return f"unset {_COUNT}, or start with python -m paddle.distributed.launch"
