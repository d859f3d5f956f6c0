"""Run networks in an engine and time them against each other."""

from __future__ import annotations

from spconvify.engines.latency import Latency, speedup
from spconvify.engines.measure import measure
from spconvify.engines.support import ENGINES, check_engine, describe, usable_engines

__all__ = ["ENGINES", "Latency", "check_engine", "describe", "measure", "speedup", "usable_engines"]
