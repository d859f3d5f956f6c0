"""What Python callers hand over is the network's input already: floats, and no pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from spconvify.errors import ArgumentError


def check_floats(images: np.ndarray, where: str) -> None:
    """Refuse arrays that aren't a network's input: integers and masks are pixels, yet to be scaled.

    Raises:
        ArgumentError: says what to give instead; `where` names the array.
    """
    kind = images.dtype.kind
    if kind in "biu":
        raise ArgumentError(
            f"{where} is of {images.dtype}: pixels, that is, and not what a network takes; give "
            "floats, scaled and normalised like those that it was trained on"
        )
    if kind == "c":
        raise ArgumentError(f"{where} is of {images.dtype}; give real floats, as the network takes them")


def check_unmasked(values: Any, where: str) -> None:
    """Refuse NumPy's masked arrays: what lies under the mask would count.

    Raises:
        ArgumentError: `where` names the array.
    """
    if np.ma.is_masked(values):
        raise ArgumentError(f"{where} is masked; give only what isn't, or fill it")
