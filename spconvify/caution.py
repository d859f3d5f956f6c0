"""Warn at the caller's own line, however deep inside of spconvify the reason comes up."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Optional


def warn(message: str, category: type[Warning]) -> None:
    """Warn, as if from the first caller that isn't spconvify itself."""
    level = 1
    frame: Optional[FrameType] = sys._getframe()
    while frame is not None and _ours(frame):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def _ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).split(".")[0] == "spconvify"
