"""``package.module:name``, taken apart: what the command line names code of the user's by."""

from __future__ import annotations

import os
from pathlib import Path

from spconvify.errors import ArgumentError


def module_and_name(text: str, label: str, what: str) -> tuple[str, str]:
    """The module and what is to be called in it.

    Args:
        text: as the option has it.
        label: what errors call it.
        what: is named: "factory".

    Raises:
        ArgumentError: if the text has another form, or names a file; it says how to write that.
    """
    module, _, name = text.partition(":")
    if not module or not name:
        raise ArgumentError(f"{label} names no module and {what}; write it as package.module:{what}")
    if "/" in module or os.sep in module or (module.endswith(".py") and os.path.isfile(module)):
        file = Path(os.path.normpath(module))
        stem = file.name[: -len(".py")] if file.suffix == ".py" else file.name
        folder = "" if file.parent == Path() else f", and run spconvify from {file.parent}"
        raise ArgumentError(f"{label} names a file; write it as {stem}:{name}{folder}")
    return module, name
