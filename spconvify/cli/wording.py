"""How the command line writes the options that the library's messages name in Python's words."""

from __future__ import annotations

from typing import Any

from spconvify.errors import Option, SpconvifyError

# Where the two differ in more than dashes.
_NAMES = {
    "input_shape": "--input",
    "model_or_arch": "--arch",
    "overwrite": "--force",
    "ratios": "--ratio-for",
}
_QUOTED = ("exclude", "include", "ignore", "weights")  # a shell would take these for file names


def as_flag(option: Option) -> str:
    """``exclude='conv1'`` -> ``--exclude 'conv1'``."""
    flag = _NAMES.get(option.name) or f"--{option.name.replace('_', '-')}"
    if option.value is None or option.value is True:
        return flag
    value = str(option.value)
    return f"{flag} {_quoted(value) if option.name in _QUOTED else value}"


def worded(problem: Any) -> str:
    """A message in the command line's words."""
    return problem.text(as_flag) if isinstance(problem, SpconvifyError) else str(problem)


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"
