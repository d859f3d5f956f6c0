"""Whether the permutations in a converted checkpoint are some, as they must be to be gathered by."""

from __future__ import annotations

from typing import Any

import numpy as np

from spconvify.errors import CheckpointError
from spconvify.operators.recognised import join
from spconvify.operators.registry import recognised


def check_channels(state: dict[str, Any], source: str) -> None:
    """Check every replaced layer's order of channels; those that were cast to floats get integers again.

    Args:
        state: key -> array; changed in place.
        source: the file's name, for the error.

    Raises:
        CheckpointError: names the key and the first wrong value.
    """
    for site, found in recognised({key: tuple(array.shape) for key, array in state.items()}).items():
        for name in found.permutations:
            key = join(site, name)
            state[key] = _permutation(source, key, state[key])


def _permutation(source: str, key: str, array: np.ndarray) -> np.ndarray:
    values = array
    if array.dtype == np.uint16:  # the bits of bfloat16
        values = (array.astype(np.uint32) << 16).view(np.float32)
    seen: set[int] = set()
    for place, value in enumerate(values.tolist()):
        if value != value or value not in range(len(values)) or value in seen:
            why = "a second time" if value in seen else f"and not one of 0 to {len(values) - 1}"
            raise CheckpointError(
                f"{source}: {key!r} isn't a permutation of its {len(values)} channels: {value} at place "
                f"{place}, {why}; the file is damaged"
            )
        seen.add(int(value))
    return values.astype(np.int64)
