"""Random numbers to run a network on: the same for a seed, here and in an engine's process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def random_values(
    input_shape: Sequence[int], dtype: str = "float32", seed: int | Sequence[int] = 0
) -> np.ndarray:
    """The numbers that every network is run on: standard normal, float32 for any floating dtype.

    Of integers 0 or 1, which every table of words or classes has; of bool both. NumPy's and Paddle's own
    random states are left alone.
    """
    shape, generator = tuple(input_shape), np.random.default_rng(seed)
    if "int" in dtype or dtype == "bool":
        return generator.integers(0, 2, shape).astype(dtype)
    return generator.standard_normal(shape, dtype="float32")
