"""The values of options: how their texts are read, and how large they can be."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from pathlib import Path

import typer

from spconvify.errors import ArgumentError, CheckpointError

# More is a slip of the finger: it would be found out after minutes, or by the machine's memory.
MOST_THREADS, MOST_IMAGES = 1024, 1 << 20
_MOST_BATCH, _MOST_PIXELS = 1 << 16, 1 << 16


def parse_file(text: str, option: str | None = None) -> Path:
    """The file to write at a place; `Path` alone would take the slash of a folder's name off.

    `option` is named in the error where this isn't the option's own parser.

    Raises:
        BadParameter: for a folder's name.
    """
    if not text or text.endswith(("/", "\\", "/.", "/..")):
        raise typer.BadParameter(f"{text!r} names a folder; give the name of a file", param_hint=option)
    return Path(text)


def check_none_is_empty(arguments: Sequence[str]) -> None:
    """Refuse an argument without a text, as a shell's variable gives that isn't set.

    As a path it would be the current folder, whose pictures would be read.

    Raises:
        ArgumentError: names the option.
    """
    for before, text in zip(("", *arguments), arguments):
        name, equals, value = text.partition("=")
        if text and (not equals or value or not name.startswith("--")):
            continue
        name = name or before
        what = name if name.startswith("-") and "=" not in name else "an argument"
        raise ArgumentError(f"{what} is empty; is a variable of the shell not set?")


def check_has_name(source: Path) -> None:
    """Refuse a folder that is told by dots or a slash alone: nothing can be called like it.

    Raises:
        CheckpointError: says what to name.
    """
    if source.name:
        return
    from spconvify.checkpoint.formats import refuse_folder  # only here: it loads NumPy

    try:
        refuse_folder(source)
    except CheckpointError as error:
        raise CheckpointError(f"can't read {source}: ", error) from error


def parse_ratios(texts: list[str] | None) -> dict[str, float]:
    """``["layer4.*=0.25"]`` -> ``{"layer4.*": 0.25}``.

    Raises:
        ArgumentError: if a text has another form.
    """
    ratios = {}
    for text in texts or []:
        glob, equals, number = text.rpartition("=")
        try:
            ratios[glob] = float(number)
        except ValueError:
            equals = ""
        if not equals or not glob:
            raise ArgumentError(f"--ratio-for {text!r} isn't GLOB=R; write it like 'layer4.*=0.25'")
    return ratios


def parse_threads(text: str) -> list[int]:
    """``"1,2"`` -> ``[1, 2]``; see `_counts`."""
    return _counts("--threads", text, MOST_THREADS)


def parse_batches(text: str) -> list[int]:
    """``"1,8"`` -> ``[1, 8]``; see `_counts`."""
    return _counts("--batch", text, _MOST_BATCH)


def _counts(option: str, text: str, most: int) -> list[int]:
    """Numbers with commas.

    Raises:
        ArgumentError: if the text has another form, or a number is less than 1 or more than `most`.
    """
    try:
        counts = [int(number) for number in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ArgumentError(f"{option} {text!r} isn't a number from 1 on; write it like 1 or 1,8")
    if max(counts) > most:
        raise ArgumentError(f"{option} {text!r} is more than {most}")
    return counts


def parse_numbers(option: str, text: str | None, like: str = "0.5,0.5,0.5") -> tuple[float, ...] | None:
    """``"0.5,0.5,0.5"`` -> ``(0.5, 0.5, 0.5)``; `like` shows the form where the text has another one.

    Raises:
        ArgumentError: if the text has another form.
    """
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ArgumentError(f"{option} {text!r} isn't numbers; write it like {like}")
    return numbers


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``"224"`` or ``"224,320"`` -> (H, W).

    Raises:
        ArgumentError: if the text has another form.
    """
    if text is None:
        return None
    try:
        numbers = [int(number) for number in text.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1 or max(numbers) > _MOST_PIXELS:
        raise ArgumentError(f"--resize {text!r} isn't a size; write it like 224 or 224,320")
    return numbers[0], numbers[-1]


def parse_eval(text: str | None) -> tuple[Path | None, str | None]:
    """The file with labelled images, or the ``module:function`` of a metric.

    Raises:
        ArgumentError: for a file of Python and a function.
    """
    if text is None:
        return None, None
    path = Path(text)
    module, colon, _ = text.rpartition(":")
    if not colon or path.exists() or path.suffix in (".npz", ".npy") or Path(module).name != module:
        return path, None
    if module.endswith(".py"):
        raise ArgumentError(f"--eval {text!r} names a file; write it as {text.replace('.py:', ':', 1)}")
    return None, text


def parse_kinds(texts: list[str] | None) -> str | dict[str, str] | None:
    """``["main=map"]`` -> ``{"main": "map"}``, and ``["map"]`` -> ``"map"``, which is for all outputs.

    Raises:
        ArgumentError: for a kind that there isn't, and one for all beside others.
    """
    from spconvify.evaluation.kinds import KINDS

    kinds = {}
    for text in texts or []:
        output, equals, kind = text.rpartition("=")
        if kind not in KINDS:
            raise ArgumentError(f"--kind {text!r}: {kind!r} is unknown; use {', '.join(KINDS)}")
        if not equals and len(texts or []) > 1:
            raise ArgumentError(f"--kind {text!r} is for all outputs; name one in each: OUTPUT={kind}")
        if not equals:
            return kind
        kinds[output] = kind
    return kinds or None


def check_format(name: str, formats: Collection[str]) -> None:
    """Refuse an unknown output format.

    Raises:
        ArgumentError: with the known ones.
    """
    if name not in formats:
        raise ArgumentError(f"--format {name!r} is unknown; use one of: {', '.join(formats)}")
