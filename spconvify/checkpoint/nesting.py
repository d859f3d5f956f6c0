"""The arrays in what a .pdparams file holds, by dotted name, however its dictionaries are nested."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spconvify.errors import CheckpointError

# Paddle's own entries beside the parameters, in any dictionary.
_NAMES = "StructuredToParameterName@@"
_SLICES = "UnpackBigParamInfor@@"
_OPTIMIZER_HINTS = ("LR_Scheduler", "master_weights")
DEEPEST = 8  # dictionaries in one another; nobody nests more
_LONGEST_NAME = 1 << 12  # letters; joined to a long name, a thousand short ones are long too


def flatten(content: Any) -> dict[str, np.ndarray]:
    """``{"model": {"conv.weight": array}, "epoch": 3}`` -> ``{"model.conv.weight": array}``.

    What isn't an array is bookkeeping and left out. A dictionary that stands at several places counts at
    the first.

    Raises:
        CheckpointError: if there is no array, or two have the same name, or it is an optimizer's state.
    """
    if not isinstance(content, dict):
        raise CheckpointError(
            f"it holds a {type(content).__name__}, not a state dict; save model.state_dict()"
        )
    for key in content:
        if key in _OPTIMIZER_HINTS or (key.endswith("_0") and ("_moment" in key or "_velocity_" in key)):
            raise CheckpointError("it is the state of an optimizer (.pdopt); name the .pdparams file")
    state: dict[str, np.ndarray] = {}
    for name, array in _walk(content, "", 0, set()):
        if name in state:
            raise CheckpointError(f"it holds two parameters called {name!r}; save model.state_dict()")
        state[name] = array
    if not state:
        kinds = {type(value).__name__ for value in content.values()}
        inside = f": its entries are of the kinds {', '.join(sorted(kinds))}" if kinds else ""
        raise CheckpointError(f"it holds no parameters{inside}; save model.state_dict() alone")
    return state


def _walk(
    content: Mapping[str, Any], prefix: str, depth: int, seen: set[int]
) -> Iterator[tuple[str, np.ndarray]]:
    if id(content) in seen or depth > DEEPEST:
        return
    seen.add(id(content))
    arrays = {key: value for key, value in content.items() if isinstance(value, np.ndarray)}
    for key, array in _joined(arrays, content.get(_SLICES)).items():
        yield _name(prefix, key), array
    for key, value in content.items():
        if isinstance(value, dict) and key not in (_NAMES, _SLICES):
            yield from _walk(value, f"{_name(prefix, key)}.", depth + 1, seen)


def _name(prefix: str, key: str) -> str:
    if prefix and len(prefix) + len(key) > _LONGEST_NAME:
        raise CheckpointError("it holds a name of thousands of letters: the file is damaged")
    return prefix + key


def _joined(state: dict[str, np.ndarray], slices: Any) -> dict[str, np.ndarray]:
    """Put together what Paddle cut because protocols 2 and 3 hold at most 4 GB an array."""
    if not slices:
        return state
    try:
        for key, info in slices.items():
            if not all(type(name) is str for name in info["slices"]):
                raise TypeError("a part without a name")
            parts = [state.pop(name).reshape(-1) for name in info["slices"]]
            state[key] = np.concatenate(parts).reshape(info["OriginShape"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"a parameter that was cut into parts isn't complete ({error})") from error
    return state
