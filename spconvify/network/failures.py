"""Why a network didn't run, and what would help: another input only where it can."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import paddle

from spconvify.errors import ArgumentError, Option
from spconvify.printable import said

_FOREIGN = tuple(f"{Path(file).parent}{os.sep}" for file in (paddle.__file__, __file__))
_SYNC = (
    "SyncBatchNorm runs on GPUs only, and this is a CPU; use nn.BatchNorm2D in its place, which has "
    "the same parameters"
)
_HALF = (
    "Paddle computes in half precision on GPUs only, and this is a CPU; cast it with "
    "network.to(dtype='float32'), or take the cast out of its forward"
)
_MEMORY = "the memory isn't enough for it; free some, or take a smaller batch"
_ONE_TENSOR = "it is run with one tensor (N, C, H, W); wrap it in a layer that takes one"
_OTHERWISE = "its forward takes its inputs in another way than these are given"
_OF_A_DICTIONARY = re.compile(r"'\w*Tensor' object has no attribute '(items|keys|values|get|pop)'")
_ANOTHER_DTYPE = re.compile(
    r"d(ata)? ?type|type of data|type promotion|not registered|unimplemented|b?float\d\d|int(32|64)",
    re.I,
)
_NO_HALF = re.compile(r"kernel\b.*\bb?float16", re.I | re.S)
_NO_MEMORY = re.compile(r"ResourceExhausted|bad_alloc|out of memory", re.I)
_SIZES = re.compile(
    r"OutOfRange|shape|\bsizes?\b|\bdim|channel|height|width|divisible|multiple|broadcast|"
    r"\b(axis|rank)\b|elements|resolution|pixel|too (small|large)"
    r"|(?<!list index )(?<!tuple index )out of (range|bounds)",
    re.I,
)
_PADDLES_KIND = re.compile(r"\([A-Z]\w+\) ")  # "(InvalidArgument) …", not a layer's "(conv): …"
# Python's for mistakes in code and for things that aren't there.
_OF_CODE = (AttributeError, ImportError, NameError, KeyError, OSError, NotImplementedError, TypeError)


def check_dynamic_mode() -> None:
    """Refuse to work in Paddle's static mode, where a network is no more than a program's text.

    Raises:
        ArgumentError: with the remedy.
    """
    if not paddle.in_dynamic_mode():
        raise ArgumentError("Paddle is in static mode; call paddle.disable_static() first")


def does_not_run(
    shape: Sequence[int] | Mapping[str, Sequence[int]], error: Exception, *remedy: Any
) -> ArgumentError:
    """The error to raise when a network doesn't run on an input of `shape`.

    Args:
        shape: (N, C, H, W); of several tensors by name.
        error: what the network raised.
        remedy: what to do where the input is to blame; another input if nothing is given.
    """
    several = isinstance(shape, Mapping)
    if not remedy:
        remedy = "give another ", Option("input_shape")
    start = f"the network doesn't run on {_inputs(shape)}: {first_line(error)}{_place(error)}"
    known = _known_cause(error, several)
    if known:
        return ArgumentError(f"{start}; {known}")
    return ArgumentError(start, "; ", *remedy) if depends_on_input(error) else ArgumentError(start)


def _inputs(shape: Sequence[int] | Mapping[str, Sequence[int]]) -> str:
    if not isinstance(shape, Mapping):
        return f"an input of {'x'.join(map(str, shape)) or 'a single number'}"
    return f"inputs of {', '.join(f'{name} ' + 'x'.join(map(str, s)) for name, s in shape.items())}"


def lacks_memory(text: str) -> bool:
    """Whether an error of this text is one of too little memory."""
    return bool(_NO_MEMORY.search(text))


def depends_on_input(error: BaseException) -> bool:
    """Whether another input could make the error go away, as far as it tells."""
    behind: BaseException | None = error
    while behind is not None:  # a network may wrap what happened in an error of its own
        if isinstance(behind, (*_OF_CODE, MemoryError)) or _known_cause(behind):
            return False
        behind = behind.__cause__
    text, frames = said(error), _own_frames(error)
    if isinstance(error, AssertionError) and frames:  # what it checks says more than its message
        text += frames[-1].line or ""
    return bool(_SIZES.search(text)) and not _ANOTHER_DTYPE.search(first_line(error))


def _known_cause(error: BaseException, several: bool = False) -> str:
    """What is behind errors that don't say so themselves; "" for others.

    `several` says that the network wasn't run with one tensor.
    """
    text = said(error)
    if isinstance(error, MemoryError) or lacks_memory(text):
        return _MEMORY
    if _NO_HALF.search(text):
        return _HALF
    if "sync_batch_norm" in text:
        return _SYNC
    form = _form_of_input(error)
    if form and several:
        return _OTHERWISE
    return f"its forward {form}, and {_ONE_TENSOR}" if form else ""


def _form_of_input(error: BaseException) -> str:
    """What the network seems to take in the place of one tensor; "" if that isn't what is wrong."""
    text = said(error)
    if _OF_A_DICTIONARY.search(text) or "but received str in" in text:
        return "seems to take a dictionary"
    if isinstance(error, TypeError) and "argument" in text and not _own_frames(error):
        return "takes other arguments"
    if isinstance(error, ValueError) and re.search(r"values to unpack", text):
        return "seems to take several inputs"
    return ""


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Where in the user's own files the error came up: neither Paddle's nor ours."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not frame.filename.startswith((*_FOREIGN, "<"))]


def _place(error: BaseException) -> str:
    """The line of the user's file, where the error is one of code."""
    if not isinstance(error, (*_OF_CODE, AssertionError)):
        return ""
    frames = _own_frames(error)
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""


def first_line(error: BaseException) -> str:
    """The line of an error that says what is wrong: Paddle's come behind a C++ traceback."""
    lines = [line.strip() for line in said(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error:" in line or _PADDLES_KIND.match(line)]
    line = (telling or lines or [""])[0]
    if not line:
        return type(error).__name__
    return f"{type(error).__name__}: {line}" if isinstance(error, _OF_CODE) and not telling else line
