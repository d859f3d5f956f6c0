"""Where something was timed: engine, version, processor and threads."""

from __future__ import annotations

from dataclasses import dataclass

from spconvify.engines import describe
from spconvify.engines.registry import EngineName


@dataclass(frozen=True)
class Setting:
    """What runs the networks that are timed."""

    engine: EngineName
    threads: int
    device: str

    def key(self) -> str:
        """What a remembered time begins with."""
        facts = describe(self.engine, self.device)
        return f"{self.engine} {facts['version']}, {facts['processor']}, {self.threads} threads"
