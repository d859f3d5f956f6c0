"""What can go wrong, what it means for the exit code, and how a message names an option."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable


@dataclass(frozen=True)
class Option:
    """An option that a message names: as a keyword of Python here, as the command line writes it there.

    `value` is what to give it; None names the option alone.
    """

    name: str
    value: Any = None

    def __str__(self) -> str:
        return f"{self.name}=" if self.value is None else f"{self.name}={self.value!r}"


class SpconvifyError(Exception):
    """A job that failed; the message names the thing and the remedy. Exit code 1.

    Its parts are texts, options, and other errors of this kind; ``str`` puts them together in Python's
    words.
    """

    def __init__(self, *parts: Any):
        super().__init__(*parts)

    def __str__(self) -> str:
        return self.text()

    def text(self, write: Callable[[Option], str] = str) -> str:
        """The message, every option as `write` puts it."""
        return "".join(_written(part, write) for part in self.args)


def _written(part: Any, write: Callable[[Option], str]) -> str:
    if isinstance(part, Option):
        return write(part)
    return part.text(write) if isinstance(part, SpconvifyError) else str(part)


class ArgumentError(SpconvifyError, ValueError):
    """A wrong call: a value that can't be. Exit code 2."""


class CheckpointError(SpconvifyError):
    """A file that can't be read as a checkpoint, doesn't fit, or can't be written."""


class ConversionError(SpconvifyError):
    """A network that can't be converted safely; it has been left as it was."""


class RecoveryError(SpconvifyError):
    """A training that failed; the student has the last good weights."""


class EngineError(SpconvifyError):
    """An engine that isn't installed, or that couldn't run the network."""


class NoEffectWarning(UserWarning):
    """Nothing was there to convert."""


class CheckpointWarning(UserWarning):
    """Only a part of a checkpoint was taken: what lies under a prefix, or without some extra keys."""


class AgreementWarning(UserWarning):
    """A converted network's outputs are far from the original's."""


class InputWarning(UserWarning):
    """Images that don't look like what a network was trained on."""


class PlainFileWarning(UserWarning):
    """A file for an engine is right, but without what would make it faster there."""


class SlowerWarning(UserWarning):
    """What was exported is slower than the original network would be."""


class NotCheckedWarning(UserWarning):
    """A network was converted, and nothing could check that the new layers are really used."""
