"""Whether a checkpoint is whole, and what is in it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spconvify.checkpoint.checksum import check_trailer, has_checksum
from spconvify.checkpoint.reading import is_safetensors_file, read_state
from spconvify.files.regular import open_regular


@dataclass(frozen=True)
class FileCheck:
    """What reading a checkpoint completely has shown."""

    format: str  # "pdparams" or "safetensors"
    checksum: bool  # whether there was one to check; a wrong one raises
    tensors: int
    elements: int
    bytes: int  # of the file
    state: Mapping[str, np.ndarray]


def check_file(path: str | os.PathLike[str]) -> FileCheck:
    """Read a checkpoint completely and check its checksum, if it has one.

    Raises:
        CheckpointError: if it isn't there, is damaged, or is something else than a state dict.
    """
    path = Path(path)
    state = read_state(path)
    if is_safetensors_file(path):
        kind, checksum = "safetensors", has_checksum(_header(path))
    else:
        kind, checksum = "pdparams", check_trailer(path) is not None
    elements = sum(int(array.size) for array in state.values())
    return FileCheck(kind, checksum, len(state), elements, path.stat().st_size, state)


def _header(path: Path) -> Mapping:
    with open_regular(path) as file:
        return json.loads(file.read(int.from_bytes(file.read(8), "little")))
