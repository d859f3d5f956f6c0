"""Run networks in an engine and time them against each other."""

from __future__ import annotations

from spconvify.engines.base import Engine
from spconvify.engines.latency import Latency, speedup, speedup_interval, verdict
from spconvify.engines.measure import measure
from spconvify.engines.registry import register
from spconvify.engines.support import check_engine, describe, skipped_engines, usable_engines

__all__ = [
    "Engine",
    "Latency",
    "check_engine",
    "describe",
    "measure",
    "register",
    "skipped_engines",
    "speedup",
    "speedup_interval",
    "usable_engines",
    "verdict",
]
