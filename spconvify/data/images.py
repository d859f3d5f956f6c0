"""Images that were read, ready for a network, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spconvify.data.preparation import Layout, Statistics


@dataclass
class Images:
    """Float32 images as the network takes them, labels (N,) if there are any, and how they were made.

    Attributes:
        values: (N, C, H, W), or (N, H, W, C) where `layout` says so.
        labels: int64 (N,), or None.
        note: one line for the user.
        skipped: file or folder that couldn't be read -> why.
        statistics: the mean and std that they were normalised with; None for floats that were taken as
            they are.
        white: what counted as white before that: 255, 65535, or 1 (floats); None for floats that were
            taken as they are.
        layout: of `values`.
        available: how many images there are where these come from.
    """

    values: np.ndarray
    labels: np.ndarray | None
    note: str
    skipped: Mapping[str, str] = field(default_factory=dict)
    statistics: Statistics | None = None
    white: float | None = None
    layout: Layout = "NCHW"
    available: int = 0


def in_batches(images: np.ndarray, size: int = 64) -> list[np.ndarray]:
    """Images (N, ...) in batches of `size`; they share the memory."""
    return [images[start : start + size] for start in range(0, len(images), size)]


def counted(number: int) -> str:
    """``"1 image"``, ``"2 images"``."""
    return f"{number} image" + ("" if number == 1 else "s")
