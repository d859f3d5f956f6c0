"""Which form was fastest where: remembered in the user's cache folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import platformdirs

from spconvify.scratch import atomic

Times = Mapping[str, float]  # form -> median ms


class Choices:
    """The cache file: times of forms by a layer's shape, and which whole networks confirmed them.

    Everything in it can be measured again, so a file that can't be read counts as empty, and one that
    can't be written is left.
    """

    def __init__(self, path: Path | None = None):
        self.path = path or Path(platformdirs.user_cache_dir("spconvify")) / "forms.json"
        self._content = self._read()

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            content = json.loads(self.path.read_text())
            return {"layers": dict(content["layers"]), "networks": dict(content["networks"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {"layers": {}, "networks": {}}

    def times(self, key: str) -> Times | None:
        """The times of one layer's forms, if they were measured."""
        times = self._content["layers"].get(key)
        good = isinstance(times, dict) and all(isinstance(ms, (int, float)) for ms in times.values())
        return times if good else None

    def confirmed(self, network: str) -> bool | None:
        """Whether the fastest forms were also fastest in the whole network; None: not tried."""
        return self._content["networks"].get(network)

    def remember(self, layers: Mapping[str, Times], networks: Mapping[str, bool]) -> None:
        """Add to the file."""
        self._content = self._read()
        self._content["layers"].update(layers)
        self._content["networks"].update(networks)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(self.path) as file:
                file.write(json.dumps(self._content, indent=1, sort_keys=True).encode())
        except OSError:
            pass
