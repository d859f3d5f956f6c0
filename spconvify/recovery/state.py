"""What a recovery needs to go on after it was killed: one file, written completely or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Optional

import numpy as np
from paddle import nn

from spconvify.checkpoint import read_state, write_state
from spconvify.checkpoint.apply import apply_state, state_of
from spconvify.errors import ArgumentError, CheckpointError
from spconvify.files.identity import OwnFile
from spconvify.recovery.contents import META, Contents, shown
from spconvify.recovery.fingerprint import of_network, of_training
from spconvify.recovery.optimizer import Optimizer
from spconvify.recovery.recipe import Recipe

_OTHER = {
    "student": "its student is another one",
    "teacher": "its teacher is another one",
    "trains": "other layers are frozen or in eval mode",
    "beside": "what the network takes beside the pictures is something else",
}


@dataclass
class RunState:
    """How far a run is: steps done, losses so far, accuracies by step, and the best weights.

    `resumed_from` is the step that an earlier process had come to, 0 if there was none; `file` is where
    all of it is kept, if anywhere.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    top1: dict[int, float] = field(default_factory=dict)
    best_step: Optional[int] = None
    best: Optional[dict[str, np.ndarray]] = None
    resumed_from: int = 0
    file: Optional[OwnFile] = None

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
    """What makes a run this run: its recipe, and both networks at its start, in their training modes."""
    networks = {"student": of_network(student), "teacher": of_network(teacher)}
    numbers = {key: getattr(value, "item", lambda v=value: v)() for key, value in asdict(recipe).items()}
    return {**numbers, **networks, "trains": of_training(student)}


def save_run(
    file: OwnFile, state: RunState, run: Mapping[str, Any], student: nn.Layer, optimizer: Optimizer
) -> None:
    """Write everything into one ``.safetensors`` file.

    Raises:
        CheckpointError: if that fails, as on a full disk, or what is there isn't this run's; it is then
            as it was.
    """
    moments = optimizer.state()
    meta = {
        "run": dict(run),
        "step": state.step,
        "losses": state.losses,
        "top1": list(state.top1.items()),
        "best_step": state.best_step,
        "optimizer": list(moments),
    }
    arrays = {META: np.frombuffer(json.dumps(meta, allow_nan=False).encode(), np.uint8)}
    arrays |= {f"student.{key}": array for key, array in state_of(student)[0].items()}
    arrays |= {f"best.{key}": array for key, array in (state.best or {}).items()}
    arrays |= {f"optimizer.{key}": array for key, array in moments.items()}
    try:
        file.known = write_state(file.path, arrays, overwrite=False, place=file.place, known=file.known)
    except CheckpointError as error:
        if isinstance(error.__cause__, FileExistsError):
            raise CheckpointError(_not_ours(file)) from error
        raise


def _not_ours(file: OwnFile) -> str:
    return (
        f"{file.path} exists and is as it was: it came there since this run began, and isn't the run's; "
        "move it elsewhere, or name another checkpoint"
    )


def load_run(
    file: OwnFile, run: dict[str, Any], student: nn.Layer, optimizer: Optimizer
) -> Optional[RunState]:
    """Go back to where a checkpoint was written; None if there is none yet.

    The student may be as it was at the run's start, or as the checkpoint has it: one that was trained
    in place, and interrupted. `run` gets the weights of the start then.

    Raises:
        CheckpointError: if the file is damaged, no checkpoint of a recovery, or holds what can't be.
        ArgumentError: if it belongs to another run; the message names the first difference. Student
            and optimizer are as they were then.
    """
    path = file.path
    if not os.path.lexists(file.place):
        return None
    file.take()
    if file.known is None:  # where it was checked, links were followed
        raise CheckpointError(_not_ours(file))
    contents = Contents(path, read_state(file.place))
    saved = contents.run()
    student_too = saved.get("student") != run["student"] and _is_there(contents, student, run["student"])
    for key, value in run.items():
        if saved.get(key) != value and not (key == "student" and student_too):
            raise ArgumentError(
                f"checkpoint {path} belongs to another run: {_difference(key, saved.get(key), value)}; "
                "delete it to start anew, or give another file"
            )
    weights, best, moments = contents.arrays(student, optimizer)
    judged, signed = run["eval_data"] != "none", run["loss"] not in (None, "kl", "mse")
    state = RunState(*contents.progress(run["steps"], judged, signed), best)
    state.resumed_from, state.file = state.step, file
    run["student"] = saved["student"]
    restore(student, weights)
    optimizer.set_state(moments)
    return state


def _is_there(contents: Contents, student: nn.Layer, now: int) -> bool:
    """Whether the student has the weights of the checkpoint: the last ones, or the best."""
    parts = [contents.part(name) for name in ("student", "best")]
    return any(part is not None and of_network(student, part) == now for part in parts)


def _difference(key: str, saved: Any, value: Any) -> str:
    return _OTHER.get(key, f"its {key} is {shown(saved)} and not {shown(value)}")
