"""What can go wrong, and what it means for the exit code."""

from __future__ import annotations


class SpconvifyError(Exception):
    """A job that failed; the message names the thing and the remedy. Exit code 1."""


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
