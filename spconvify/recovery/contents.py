"""The contents of a recovery's checkpoint: none is believed, as right checksums are easy to make."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, Optional

import numpy as np
from paddle import nn

from spconvify.checkpoint.apply import state_of
from spconvify.errors import CheckpointError
from spconvify.printable import printable
from spconvify.recovery.optimizer import PARTS, Optimizer, part_shape

META = "recovery"
_SHOWN = 80  # letters of a value from a file
STATISTICS = ("_mean", "_variance")  # buffers that must be finite, as parameters must
Arrays = dict[str, np.ndarray]


class Contents:
    """A file's arrays, and what it says of its run.

    Every method raises CheckpointError, in one line, for what no run can have written.

    Args:
        path: of the file, for error messages.
        arrays: of the file.
    """

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray]):
        self._path, self._arrays = path, dict(arrays)
        meta = self._arrays.pop(META, None)
        if meta is None or meta.dtype != np.uint8 or meta.ndim != 1:
            raise CheckpointError(f"{path} isn't a checkpoint of a recovery; choose another file")
        try:
            self._meta = json.loads(meta.tobytes())
        except (ValueError, RecursionError):
            self._refuse("what it says of its run isn't JSON")
        if not isinstance(self._meta, dict):
            self._refuse(f"what it says of its run is {shown(self._meta)}")

    def run(self) -> dict[str, Any]:
        """What identifies the run."""
        run = self._meta.get("run")
        if not isinstance(run, dict):
            self._refuse(f"its run is {shown(run)}")
        return run

    def progress(
        self, steps: int, judged: bool, signed: bool = False
    ) -> tuple[int, list[float], dict[int, float], Optional[int]]:
        """Steps done, losses, top-1 by step, and the step of the best one.

        Args:
            steps: of the whole run.
            judged: whether the run measures accuracies.
            signed: whether a loss may be negative, as a caller's own.
        """
        step, losses = self._meta.get("step"), self._meta.get("losses")
        if type(step) is not int or not 1 <= step <= steps:
            self._refuse(f"its step is {shown(step)}, of {steps} steps")
        sound = isinstance(losses, list) and all(_is_loss(loss, signed) for loss in losses)
        if not sound or len(losses) != step:
            self._refuse(f"its losses aren't {step} numbers")
        top1, best_step = self._accuracies(step), self._meta.get("best_step")
        if judged != bool(top1):
            self._refuse(f"it has {len(top1)} accuracies, and its run has some only with eval_data")
        best = max(top1, key=lambda at: top1[at]) if top1 else None
        if type(best_step) is not type(best) or best_step != best:
            self._refuse(f"its best step is {shown(best_step)}, and by its accuracies {best}")
        if (self.part("best") is None) == judged:
            self._refuse("its best weights are missing" if judged else "it has best weights of no step")
        return step, [float(loss) for loss in losses], top1, best

    def _accuracies(self, step: int) -> dict[int, float]:
        top1, last = self._meta.get("top1"), -1
        if not isinstance(top1, list):
            self._refuse(f"its accuracies are {shown(top1)}")
        for entry in top1:
            if not isinstance(entry, list) or len(entry) != 2 or type(entry[0]) is not int:
                self._refuse(f"one of its accuracies is {shown(entry)}")
            if not last < entry[0] <= step or not _is_finite(entry[1]) or not 0 <= entry[1] <= 100:
                self._refuse(f"one of its accuracies is {shown(entry)}")
            last = entry[0]
        return {at: float(value) for at, value in top1}

    def part(self, name: str) -> Optional[Arrays]:
        """The arrays under a name; None if there are none."""
        prefix = f"{name}."
        found = {k[len(prefix) :]: a for k, a in self._arrays.items() if k.startswith(prefix)}
        return found or None

    def arrays(self, student: nn.Layer, optimizer: Optimizer) -> tuple[Arrays, Optional[Arrays], Arrays]:
        """The student's weights, the best ones, and the optimizer's state, as they fit these two."""
        weights, best, moments = (self.part(name) or {} for name in ("student", "best", "optimizer"))
        if len(weights) + len(best) + len(moments) != len(self._arrays):
            self._refuse("it holds arrays that belong to nothing")
        self._check_weights("student", weights, student)
        if best:
            self._check_weights("best", best, student)
        self._check_moments(moments, optimizer)
        return weights, best or None, moments

    def _check_weights(self, part: str, found: Arrays, student: nn.Layer) -> None:
        expected = state_of(student)[0]
        parameters = {key for key, _ in student.named_parameters()}
        self._check_keys(part, found, expected)
        for key, array in found.items():
            self._check_array(f"{part}.{key}", array, expected[key].shape, expected[key].dtype)
            strict = key in parameters or key.endswith(STATISTICS)
            if not _is_sound(array, strict):
                self._refuse(f"'{part}.{key}' isn't finite")
            if key.endswith("_variance") and (array < 0).any():
                self._refuse(f"'{part}.{key}' is a variance, and negative")

    def _check_moments(self, found: Arrays, optimizer: Optimizer) -> None:
        listed = self._meta.get("optimizer")
        if not isinstance(listed, list) or not all(isinstance(key, str) for key in listed) or not listed:
            self._refuse(f"its optimizer's parts are {shown(listed)}")
        self._check_keys("optimizer", found, listed)
        parameters = dict(zip(optimizer.keys, optimizer.parameters))
        owners = {key.rpartition("|")[0] for key in listed} & parameters.keys()
        self._check_keys("optimizer", found, [f"{owner}|{part}" for owner in owners for part in PARTS])
        for key, array in found.items():
            owner, _, part = key.rpartition("|")
            name, like = f"optimizer.{key}", parameters[owner]
            self._check_array(name, array, part_shape(part, like.shape), like.numpy().dtype)
            if not _is_sound(array, True) or (part != "moment1" and (array < 0).any()):
                self._refuse(f"{name!r} isn't finite, or negative where it can't be")
            if part.endswith("_pow_acc") and (array >= 1).any():
                self._refuse(f"{name!r} isn't below 1, as a power of a part of one is")

    def _check_keys(self, part: str, found: Mapping[str, Any], expected: Any) -> None:
        missing = next((key for key in expected if key not in found), None)
        if missing is not None:
            self._refuse(f"{shown(f'{part}.{missing}')} is missing")
        more = next((key for key in found if key not in expected), None)
        if more is not None:
            self._refuse(f"{shown(f'{part}.{more}')} belongs to nothing")

    def _check_array(self, name: str, array: np.ndarray, shape: Any, dtype: Any) -> None:
        if array.shape != tuple(shape) or array.dtype != dtype:
            found, wanted = f"{array.dtype} {list(array.shape)}", f"{dtype} {list(shape)}"
            self._refuse(f"{shown(name)} is {found} and not {wanted}")

    def _refuse(self, problem: str) -> NoReturn:
        raise CheckpointError(
            f"{self._path} isn't a checkpoint of a recovery that can be gone on from: {problem}; "
            "delete it to start anew, or give another file"
        )


def shown(value: Any) -> str:
    """A value from a file in a message: short, in one line, without what would steer a terminal."""
    text = printable(value if isinstance(value, str) else reprlib.repr(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _is_loss(value: Any, signed: bool) -> bool:
    """None of ours is negative; much larger ones don't come from numbers in float32."""
    return _is_finite(value) and (-1e39 if signed else 0) <= value < 1e39


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)


def _is_sound(array: np.ndarray, strict: bool) -> bool:
    """Finite, or at least a number where infinity may mean something, as in an attention's mask."""
    if array.dtype.kind != "f":
        return True
    return bool(np.isfinite(array).all() if strict else not np.isnan(array).any())
