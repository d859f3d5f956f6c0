"""What counts as white: the scale of integer and float pixels, or why it can't be told."""

from __future__ import annotations

import numpy as np

from spconvify.data.preparation import WHITE
from spconvify.errors import ArgumentError

WHITE16 = 65535.0
# Pixels that stay below a quarter of their type's range are rather of 10, 12 or 14 bits, or not pixels.
_USED = 4
# Images whose brightest pixel is no larger are no bytes; floats between the two may be of any scale.
_UNIT, _DARK = 1.0, 16.0
_TOLERANCE, _NEGATIVE = 1e-3, -0.1  # of rounding; below what resampling gives


def white_of(pixels: np.ndarray) -> float:
    """The value of white in an array of pixels.

    Raises:
        ArgumentError: if that can't be told; the message says which values there are, and a remedy.
    """
    kind = pixels.dtype.kind
    if kind in "iu":
        return _integer_white(pixels.dtype, int(pixels.min()), int(pixels.max()))
    if kind == "f":
        return _float_white(float(pixels.min()), float(pixels.max()))
    what = "bool, as masks are" if kind == "b" else f"of dtype {pixels.dtype}"
    raise ArgumentError(f"its values are {what}, and not pixels; give integers of 0..255, or floats")


def _integer_white(dtype: np.dtype, low: int, high: int) -> float:
    remedy = "scale them to 0..255, or give floats as the network takes them"
    if low < 0 or dtype == np.int8:
        raise ArgumentError(f"its {dtype} values go from {low} to {high}, which aren't pixels; {remedy}")
    if 0 < high <= _DARK:
        raise ArgumentError(f"its {dtype} values end at {high}, as masks' do and not pixels'; {remedy}")
    if high <= WHITE:
        return WHITE
    whites = set() if dtype == np.int16 else {int(WHITE16)}
    if dtype.kind == "u" and dtype.itemsize <= 4:
        whites.add(np.iinfo(dtype).max)
    for white in sorted(whites):
        if white // _USED < high <= white:
            return float(white)
    raise ArgumentError(
        f"its {dtype} values go up to {high}, and what is white can't be told from that; {remedy}"
    )


def _float_white(low: float, high: float) -> float:
    for white, least in ((_UNIT, 0.0), (WHITE, _DARK)):
        if low >= -_TOLERANCE * white and least <= high <= white * (1 + _TOLERANCE):
            return white
    standardised = "; they are standardised already" if low < _NEGATIVE else ""
    raise ArgumentError(
        f"its floats go from {low:.4g} to {high:.4g}, and not over 0..1 or 0..255{standardised}"
    )
