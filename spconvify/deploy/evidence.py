"""What outputs that are equal prove: nothing, if they are empty or one number wherever one looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from spconvify.caution import warn
from spconvify.errors import NotCheckedWarning

_REMEDY = (
    "give an example on which the network finds something (example=IMAGES, or a factory that returns it "
    "beside the network)"
)


class Evidence:
    """Collects what a network gives on every input on which something else is held to it."""

    def __init__(self, trials: Iterable[Mapping[str, np.ndarray]] = ()):
        self._sizes: dict[str, int] = {}
        self._ranges: dict[str, tuple[float, float]] = {}
        for outputs in trials:
            self.add(outputs)

    def add(self, outputs: Mapping[str, np.ndarray]) -> None:
        """Take in the outputs, by name, on one more input."""
        for name, array in outputs.items():
            self._sizes[name] = self._sizes.get(name, 0) + array.size
            if array.size:
                values = np.abs(array) if array.dtype.kind == "c" else array
                lowest, highest = self._ranges.get(name, (np.inf, -np.inf))
                with np.errstate(invalid="ignore"):
                    lowest = min(lowest, float(np.fmin.reduce(values, None)))
                    highest = max(highest, float(np.fmax.reduce(values, None)))
                self._ranges[name] = lowest, highest

    @property
    def is_none(self) -> bool:
        """Whether every output was empty, or the same number everywhere; a single number may be one."""
        return bool(self._sizes) and not any(map(self._tells, self._sizes))

    def _tells(self, name: str) -> bool:
        lowest, highest = self._ranges.get(name, (0.0, 0.0))
        return self._sizes[name] == 1 or lowest != highest

    def warn(self, what: str) -> None:
        """Say what wasn't compared; `what` names it: "the fused network".

        Warns:
            NotCheckedWarning: names the outputs.
        """
        empty = [name for name, size in self._sizes.items() if not size]
        called = ", ".join(map(repr, filter(None, empty)))
        if self.is_none:
            warn(
                f"{what} isn't checked: on every input that was tried, all outputs are empty or one "
                f"number; {_REMEDY}",
                NotCheckedWarning,
            )
        elif empty:
            warn(
                f"{what} isn't checked in its output {called}, which is empty on every input that was "
                f"tried; {_REMEDY}",
                NotCheckedWarning,
            )
