"""Start an SPConv2D from the convolution that it replaces."""

from __future__ import annotations

from typing import Any

from spconvify.spconv import SPConv2D
from spconvify.weights.copy import copy_weights


def initialise(spconv: SPConv2D, conv: Any, init: str) -> None:
    """Give `spconv` its first weights: from `conv`, or (init "none") Paddle's random ones."""
    if init != "none":
        copy_weights(spconv, conv)
