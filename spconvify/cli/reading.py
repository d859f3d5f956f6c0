"""What a command reads, by the option's name: what no output may ever replace."""

from __future__ import annotations

import os
from typing import Any

from spconvify.errors import CheckpointError
from spconvify.files.places import Inputs
from spconvify.source.programs.files import program_files
from spconvify.zoo.custom import module_files


def inputs_of(network: str, arch: str | None, **options: Any) -> Inputs:
    """Everything that a command reads.

    Args:
        network: a checkpoint; or a name, or ``module:factory``.
        arch: what may be ``module:factory`` too.
        options: path or None by the option's name, without its dashes; `metric` is a
            ``module:function``.
    """
    metric = options.pop("metric", None)
    read: dict[str, str | os.PathLike[str] | None] = {"the checkpoint": network}
    read.update({f"--{name}": path for name, path in options.items()})
    for built_by in (network, arch, options.get("teacher")):
        read.update(_program_of(built_by))
    for built_by in (network, arch, metric):
        read.update({f"the module {name}": path for name, path in module_files(built_by).items()})
    return read


def _program_of(source: str | None) -> Inputs:
    """The files of an exported program, if `source` names one: by its folder too."""
    try:
        files = None if source is None else program_files(source)
    except (CheckpointError, OSError):  # several, or a part is missing: said when it is opened
        files = None
    if files is None:
        return {}
    return {f"{source}'s program": files.program, f"{source}'s parameters": files.parameters}
