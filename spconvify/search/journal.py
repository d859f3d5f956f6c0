"""What a search has found out so far, in a file, so that one that was killed goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError
from spconvify.files.regular import open_regular

FORMAT = "spconvify-search-1"


class Journal:
    """Remembers results by a name; with a file, beyond the end of the process.

    Args:
        path: the file; None remembers nothing afterwards.
        about: what the search is about; a file about something else is begun anew.

    Raises:
        ArgumentError: if there is a file that no search has written.
    """

    def __init__(self, path: Path | None = None, about: str = ""):
        self._path, self._about = path, about
        self._known: dict[str, Any] = {}
        if path is not None and os.path.lexists(path):
            self._read(path)
        self.found = len(self._known)  # results that the file had

    def get(self, name: str, find_out: Callable[[], Any]) -> Any:
        """What is known under a name, or else what `find_out` gives: something that JSON has."""
        if name not in self._known:
            value = json.loads(json.dumps(find_out()))
            self._known[name] = value
            self._append([name, value])
        return self._known[name]

    def finish(self) -> None:
        """The search is done: nothing has to be remembered."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    @property
    def _head(self) -> dict[str, str]:
        return {"format": FORMAT, "about": self._about}

    def _read(self, path: Path) -> None:
        try:
            with open_regular(path) as file:
                lines = file.read().decode("utf-8").splitlines()
            head = json.loads(lines[0])
            is_own = isinstance(head, dict) and head.get("format") == FORMAT
        except (OSError, ValueError, IndexError):
            is_own = False
        if not is_own:
            raise ArgumentError(f"{path} is there and isn't what a search has left; move it away")
        if head != self._head:
            path.unlink()
            return
        for line in lines[1:]:
            with contextlib.suppress(ValueError, TypeError):  # the last one may have been cut off
                name, value = json.loads(line)
                self._known[name] = value

    def _append(self, result: list[Any]) -> None:
        if self._path is None:
            return
        with contextlib.suppress(OSError):  # then it begins anew next time
            new = not self._path.exists()
            with open(self._path, "a", encoding="utf-8") as file:
                if new:
                    file.write(json.dumps(self._head) + "\n")
                file.write(json.dumps(result) + "\n")


def digest(model: nn.Layer, images: CalibrationImages, *settings: Any) -> str:
    """What results belong to: weights, images, settings, and the version of the code."""
    from spconvify import __version__

    found = hashlib.sha256(repr((__version__, *settings)).encode())
    for key, value in sorted(model.state_dict().items()):
        found.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        found.update(np.ascontiguousarray(value.numpy()).tobytes())
    for batch in images:
        arrays = [batch] if isinstance(batch, np.ndarray) else list(batch.feeds().values())
        for array in arrays:
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
