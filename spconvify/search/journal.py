"""What a search has found out so far, in a file, so that one that was killed goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

FORMAT = "spconvify-search-1"


class Journal:
    """Remembers results by a name; with a file, beyond the end of the process.

    Args:
        path: the file; None remembers nothing afterwards.
        about: what the search is about; a file about something else counts as empty.
    """

    def __init__(self, path: Path | None = None, about: str = ""):
        self._path, self._about = path, about
        self._known: dict[str, Any] = {}
        self.found = 0  # results that the file had
        if path is not None:
            self._read()

    def get(self, name: str, find_out: Callable[[], Any]) -> Any:
        """What is known under a name, or else what `find_out` gives: something that JSON has."""
        if name not in self._known:
            value = json.loads(json.dumps(find_out()))
            self._known[name] = value
            self._append(name, value)
        return self._known[name]

    def _read(self) -> None:
        from spconvify.files.regular import open_regular

        assert self._path is not None
        try:
            with open_regular(self._path) as file:
                lines = file.read().decode("utf-8").splitlines()
            head = json.loads(lines[0])
            if head != {"format": FORMAT, "about": self._about}:
                raise ValueError
            for line in lines[1:]:
                name, value = json.loads(line)
                self._known[name] = value
        except (OSError, ValueError, IndexError, TypeError):  # none yet, another one's, or cut off
            pass
        self.found = len(self._known)
        if not self.found:
            self._path.unlink(missing_ok=True)

    def _append(self, name: str, value: Any) -> None:
        if self._path is None:
            return
        new = not self._path.exists()
        with open(self._path, "a", encoding="utf-8") as file:
            if new:
                file.write(json.dumps({"format": FORMAT, "about": self._about}) + "\n")
            file.write(json.dumps([name, value]) + "\n")

    def finish(self) -> None:
        """The search is done: nothing has to be remembered."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
