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
from spconvify.files.locked import TakenError, open_locked, still_at

FORMAT = "spconvify-search-1"
_MOST = 64 << 20  # bytes that are read; a search of a large network leaves some hundred thousand


class Journal:
    """Remembers results by a name; with a file, beyond the end of the process.

    The file is opened once, without following a link, and locked as long as the search goes on. Where
    none can be made (a name that is too long, a folder that can't be written), nothing is remembered.

    Args:
        path: the file; None remembers nothing afterwards.
        about: what the search is about; a file about something else is begun anew.

    Raises:
        ArgumentError: if there is a file that no search has written, or that another one is writing.
    """

    def __init__(self, path: Path | None = None, about: str = ""):
        self._path, self._about = path, about
        self._known: dict[str, Any] = {}
        self._descriptor: int | None = None
        if path is not None:
            self._descriptor = _opened(path)
        if self._descriptor is not None:
            try:
                self._read(self._descriptor)
            except BaseException:
                self.close()
                raise
        self.found = len(self._known)  # results that the file had

    def get(
        self, name: str, find_out: Callable[[], Any], of: Callable[[Any], Any] = lambda value: value
    ) -> Any:
        """What is known under a name, or else what `find_out` gives: something that JSON has.

        Args:
            name: of the result.
            find_out: gives it where it isn't known.
            of: what is made of it.

        Raises:
            ArgumentError: if that can't be made of what the file had.
        """
        if name not in self._known:
            value = json.loads(json.dumps(find_out()))
            self._known[name] = value
            self._append([name, value])
            return of(value)
        try:
            return of(self._known[name])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ArgumentError(
                f"{self._path} is damaged: {name!r} is no result of a search; delete it"
            ) from error

    def close(self) -> None:
        """Let another search have the file, which stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def finish(self) -> None:
        """The search is done: nothing has to be remembered."""
        if self._descriptor is not None and self._path is not None:
            with contextlib.suppress(OSError):
                if still_at(self._path, self._descriptor):
                    self._path.unlink()
        self.close()

    def _read(self, descriptor: int) -> None:
        head = json.dumps({"format": FORMAT, "about": self._about}) + "\n"
        data = os.read(descriptor, _MOST)
        lines = data.decode("utf-8", "replace").splitlines()
        if data and not _is_head(lines[0]) and not head.startswith(data.decode("utf-8", "replace")):
            raise ArgumentError(f"{self._path} is there and isn't what a search has left; move it away")
        if not data.startswith(head.encode()):
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            _write(descriptor, head)
            return
        for line in lines[1:]:
            with contextlib.suppress(ValueError, TypeError, RecursionError):  # the last may be cut off
                name, value = json.loads(line)
                self._known[name] = value
        if not data.endswith(b"\n"):
            _write(descriptor, "\n")

    def _append(self, result: list[Any]) -> None:
        if self._descriptor is not None:
            _write(self._descriptor, json.dumps(result) + "\n")


def forget(path: Path | None) -> None:
    """Take away what a search has left, once its result is written."""
    if path is not None and os.path.lexists(path):
        with contextlib.suppress(OSError, ArgumentError):
            descriptor = _opened(path)
            if descriptor is not None:
                try:
                    if _is_head(os.read(descriptor, 1000).decode("utf-8", "replace").partition("\n")[0]):
                        path.unlink()
                finally:
                    os.close(descriptor)


def _opened(path: Path) -> int | None:
    """A descriptor of the file, locked where there are locks; None where none can be made."""
    try:
        return open_locked(path)[0]
    except TakenError as error:
        raise ArgumentError(
            f"another search is at work ({path}); wait for its end, or name another output"
        ) from error
    except OSError as error:
        if os.path.lexists(path):
            raise ArgumentError(
                f"{path} is there and isn't what a search has left; move it away"
            ) from error
        return None


def _is_head(line: str) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        head = json.loads(line)
        return isinstance(head, dict) and head.get("format") == FORMAT
    return False


def _write(descriptor: int, text: str) -> None:
    with contextlib.suppress(OSError):  # then it begins anew next time
        os.write(descriptor, text.encode())


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
