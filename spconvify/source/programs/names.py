"""What the network called its parameters: from the .pdiparams.info that Paddle 2 writes."""

from __future__ import annotations

from pathlib import Path

from spconvify.checkpoint.unpickling import unpickle
from spconvify.errors import CheckpointError
from spconvify.files.regular import open_regular


def structured_names(path: Path) -> dict[str, str]:
    """Parameter -> name in the Python network ("conv2d_3.w_0" -> "backbone.conv1.weight").

    Empty where the file isn't there, or isn't what Paddle writes: these names are for the eye alone.
    """
    try:
        with open_regular(path) as file:
            content = unpickle(file, path.stat().st_size)
    except (OSError, CheckpointError):
        return {}
    found = {}
    for name, info in content.items() if isinstance(content, dict) else ():
        structured = info.get("structured_name") if isinstance(info, dict) else None
        if isinstance(structured, str) and all(structured.split(".")):
            found[name] = structured
    return found
