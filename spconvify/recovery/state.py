"""What a recovery needs to go on after it was killed: one file, written completely or not at all."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional

import numpy as np
import paddle
from paddle import nn

from spconvify.checkpoint import read_state, write_state
from spconvify.checkpoint.apply import apply_state, state_of
from spconvify.errors import ArgumentError, CheckpointError
from spconvify.recovery.recipe import Recipe

_META = "recovery"


@dataclass
class RunState:
    """How far a run is: steps done, losses so far, accuracies by step, and the best weights."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    top1: dict[int, float] = field(default_factory=dict)
    best_step: Optional[int] = None
    best: Optional[dict[str, np.ndarray]] = None

    def note_accuracy(self, top1: float, student: nn.Layer) -> None:
        """Remember an accuracy, and the weights if they are the best so far."""
        self.top1[self.step] = top1
        if self.best_step is None or top1 > self.top1[self.best_step]:
            self.best_step, self.best = self.step, snapshot(student)


def snapshot(student: nn.Layer) -> dict[str, np.ndarray]:
    """A copy of the weights and buffers."""
    return {key: array.copy() for key, array in state_of(student)[0].items()}


def restore(student: nn.Layer, weights: Mapping[str, np.ndarray]) -> None:
    """Give the student the weights of a snapshot back."""
    apply_state(student, dict(weights), "the snapshot")


def identity(student: nn.Layer, teacher: nn.Layer, recipe: Recipe) -> dict[str, Any]:
    """What makes a run this run: its recipe, and checksums of both networks at its start."""
    return {**asdict(recipe), "student": _checksum(student), "teacher": _checksum(teacher)}


def save_run(
    path: Path, state: RunState, run: Mapping[str, Any], student: nn.Layer, optimizer: Any
) -> None:
    """Write everything into one ``.safetensors`` file.

    Raises:
        CheckpointError: if that fails, as on a full disk; the file of before is then as it was.
    """
    meta = {
        "run": dict(run),
        "step": state.step,
        "losses": state.losses,
        "top1": list(state.top1.items()),
        "best_step": state.best_step,
    }
    arrays = {_META: np.frombuffer(json.dumps(meta).encode(), np.uint8)}
    arrays |= {f"student.{key}": array for key, array in state_of(student)[0].items()}
    arrays |= {f"best.{key}": array for key, array in (state.best or {}).items()}
    arrays |= {f"optimizer.{key}": array for key, array in _moments(student, optimizer).items()}
    write_state(path, arrays)


def load_run(
    path: Path, run: Mapping[str, Any], student: nn.Layer, optimizer: Any
) -> Optional[RunState]:
    """Go back to where a checkpoint was written; None if there is none yet.

    Raises:
        CheckpointError: if the file is damaged, or no checkpoint of a recovery.
        ArgumentError: if it belongs to another run; the message names the first difference.
    """
    if not path.exists():
        return None
    arrays = read_state(path)
    try:
        meta = json.loads(arrays.pop(_META).tobytes())
        state = RunState(
            meta["step"], meta["losses"], dict(meta["top1"]), meta["best_step"], _part(arrays, "best.")
        )
        saved = meta["run"]
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} isn't a checkpoint of a recovery; choose another file") from error
    for key, value in run.items():
        if saved.get(key) != value:
            raise ArgumentError(
                f"checkpoint {path} belongs to another run: {_difference(key, saved.get(key), value)}; "
                "delete it to start anew, or give another file"
            )
    restore(student, _part(arrays, "student.") or {})
    _set_moments(student, optimizer, _part(arrays, "optimizer.") or {})
    return state


def _difference(key: str, saved: Any, value: Any) -> str:
    if key in ("student", "teacher"):
        return f"its {key} is another one"
    return f"its {key} is {saved} and not {value}"


def _part(arrays: Mapping[str, np.ndarray], prefix: str) -> Optional[dict[str, np.ndarray]]:
    part = {key[len(prefix) :]: array for key, array in arrays.items() if key.startswith(prefix)}
    return part or None


def _checksum(network: nn.Layer) -> int:
    value = 0
    for key, array in sorted(state_of(network)[0].items()):
        value = zlib.crc32(array.tobytes(), zlib.crc32(key.encode(), value))
    return value


def _moments(student: nn.Layer, optimizer: Any) -> dict[str, np.ndarray]:
    """The optimizer's tensors, by structured names: Paddle's own differ from process to process."""
    names = {parameter.name: key for key, parameter in student.named_parameters()}
    moments = {}
    for key, value in optimizer.state_dict().items():
        owner = _owner(key, names)
        if owner is not None and isinstance(value, paddle.Tensor):
            moments[f"{names[owner]}|{key[len(owner) :]}"] = value.numpy()
    return moments


def _set_moments(student: nn.Layer, optimizer: Any, moments: Mapping[str, np.ndarray]) -> None:
    names = {key: parameter.name for key, parameter in student.named_parameters()}
    state = {}
    for key, array in moments.items():
        owner, _, rest = key.partition("|")
        state[f"{names[owner]}{rest}"] = paddle.to_tensor(array)
    optimizer.set_state_dict(state)


def _owner(key: str, names: Mapping[str, str]) -> Optional[str]:
    """The parameter that an entry ``NAME_moment1_0`` belongs to: the longest name that fits."""
    return max((name for name in names if key.startswith(f"{name}_")), key=len, default=None)
