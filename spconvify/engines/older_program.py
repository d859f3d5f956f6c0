"""Trace a network into a program of Paddle's older representation (.pdmodel), on Paddle 3 too."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paddle
from paddle import nn

from spconvify.engines import tracing
from spconvify.engines.feeds import Shapes
from spconvify.engines.older_tracing import traced_functions


def write(network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
    """Export `network` in eval mode for one input shape, as .pdmodel; the network comes back unchanged.

    A batch of -1 in `input_shape` makes files that take any.

    Raises:
        EngineError: if it can't be traced into a static program; names the line.
    """
    pir: Any = importlib.import_module("paddle.pir_utils")
    with pir.DygraphOldIrGuard(), _older_operators():
        tracing.write(network, folder, input_shape)


@contextlib.contextmanager
def _older_operators() -> Iterator[None]:
    """Trace newer operators as older ones, whatever module or method they are called by."""
    older = {id(usual): traced for usual, traced in traced_functions()}
    owners: list[Any] = [
        module for name, module in list(sys.modules.items()) if name.split(".")[0] == "paddle"
    ]
    patched = []
    try:
        for owner in [*owners, paddle.static.Variable]:
            for attribute, value in list(vars(owner).items()):
                if id(value) in older:
                    setattr(owner, attribute, older[id(value)])
                    patched.append((owner, attribute, value))
        yield
    finally:
        for owner, attribute, value in reversed(patched):
            setattr(owner, attribute, value)
