"""Read checkpoints without running what they hold; write them completely or not at all."""

from __future__ import annotations

from spconvify.checkpoint.paths import SUFFIXES, check_output
from spconvify.checkpoint.reading import read_state
from spconvify.checkpoint.writing import write_state

__all__ = ["SUFFIXES", "check_output", "read_state", "write_state"]
