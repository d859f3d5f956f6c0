"""recover: check, distil, and hand the student back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.recovery import recipe as defaults
from spconvify.recovery.batches import Augment, Batches
from spconvify.recovery.distillation import Distillation, check_installed, distilling
from spconvify.recovery.evaluation import Evaluation
from spconvify.recovery.pairs import check_outputs, check_pair, replaced_layers
from spconvify.recovery.processes import Processes
from spconvify.recovery.progress import Report
from spconvify.recovery.recipe import Recipe
from spconvify.recovery.schedule import Schedule
from spconvify.recovery.state import RunState, identity
from spconvify.recovery.trainer import Trainer


def recover(
    student: nn.Layer,
    teacher: nn.Layer,
    data: Any,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    batch_size: int = defaults.DEFAULT_BATCH_SIZE,
    learning_rate: float = defaults.DEFAULT_LEARNING_RATE,
    warmup: float = 0.05,
    weight_decay: float = 0.0,
    clip_norm: float = 1.0,
    temperature: float = defaults.DEFAULT_TEMPERATURE,
    feature_weight: float = defaults.DEFAULT_FEATURE_WEIGHT,
    label_weight: float = 0.0,
    augment: Augment | None = None,
    eval_data: Any = None,
    eval_every: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    seed: int = 0,
    same_network: bool = True,
    progress: Report | None = None,
) -> nn.Layer:
    """Train a converted network to do what the original one does: distillation, without labels.

    The loss is the KL divergence of the logits at a temperature and, if `feature_weight` isn't 0, the
    distance between the outputs of the replaced convolutions and those of the SPConv layers in their
    place. AdamW, a linear warm-up and half a cosine, gradients clipped to a global norm; at the end the
    BatchNorms' statistics are averaged over a tenth as many batches as there were steps (from 200 steps
    on). Frozen parameters stay as they are. The student is trained in place and comes back in its own
    mode, the teacher isn't changed.

    Under ``python -m paddle.distributed.launch`` each process takes its share of every batch, so that a
    step is the same step; process 0 writes.

    Args:
        student: the converted network, best fitted to calibration images (``init="lstsq"``).
        teacher: the network that it was converted from.
        data: an array of images (N, C, H, W), a pair (images, labels), a ``paddle.io.Dataset``, or an
            iterable of batches, as a ``paddle.io.DataLoader`` (its own batch size and order count then).
        steps: batches to train on; 600 if `epochs` isn't given either.
        epochs: passes over the data, instead of `steps`.
        batch_size: images in a step, over all processes.
        learning_rate: its peak.
        warmup: share of the steps in which it rises.
        weight_decay: AdamW's.
        clip_norm: largest global norm of the gradients.
        temperature: of the softened logits.
        feature_weight: how much the replaced layers' outputs count.
        label_weight: how much the cross-entropy with the labels counts, if the data has labels.
        augment: function of the images of a batch and a ``numpy.random.Generator``.
        eval_data: labelled images, a pair of arrays or batches; the weights with the best top-1 accuracy
            come back, which may be those of the start.
        eval_every: steps between two looks at the accuracy; None looks five times.
        checkpoint: a ``.safetensors`` file. If it is there and of this very run, the
            training goes on from it.
        checkpoint_every: steps between two checkpoints; None writes twenty.
        log_dir: folder for VisualDL's curves.
        seed: of the order of the images and of `augment`. The same seed gives the same weights.
        same_network: False accepts a student that differs from the teacher elsewhere too, such as a
            pruned one; then only the outputs must match.
        progress: called after every step with a `RecoveryProgress`.

    Returns:
        The student.

    Raises:
        ArgumentError: for a number that can't be, networks that don't belong together (the first
            difference is named), or data that doesn't fit.
        RecoveryError: if the loss isn't finite; the student has the last good weights then.
        CheckpointError: if a checkpoint can't be read or written.
        SpconvifyError: if PaddleSlim isn't installed.
    """
    batches = Batches(data, batch_size, seed, augment)
    recipe = Recipe(
        _steps(steps, epochs, batches),
        batch_size,
        learning_rate,
        warmup,
        weight_decay,
        clip_norm,
        temperature,
        feature_weight,
        label_weight,
        seed,
    )
    schedule = Schedule(
        eval_every,
        checkpoint_every,
        None if checkpoint is None else Path(checkpoint),
        None if log_dir is None else Path(log_dir),
    )
    distil(student, teacher, batches, recipe, schedule, eval_data, same_network, progress)
    return student


def distil(
    student: nn.Layer,
    teacher: nn.Layer,
    batches: Batches,
    recipe: Recipe,
    schedule: Schedule | None = None,
    eval_data: Any = None,
    same_network: bool = True,
    progress: Report | None = None,
) -> RunState:
    """`recover` for ready settings; tells what happened: losses, and accuracies by step."""
    schedule = schedule or Schedule()
    for settings in (recipe, schedule):
        settings.check()
    check_installed()
    if same_network:
        check_pair(student, teacher)
    processes, images = Processes(), batches.first().images
    check_outputs(student, teacher, images)
    evaluation = None if eval_data is None else Evaluation(eval_data, processes)
    run = identity(student, teacher, recipe) | {
        "data": batches.describe(),
        "eval_data": evaluation.describe() if evaluation else "none",
    }
    with distilling(student, teacher):
        layers = replaced_layers(student, teacher)
        loss = Distillation(student, teacher, layers, recipe, images)
        trainer = Trainer(student, loss, recipe, schedule, processes, run, evaluation)
        return trainer.run(batches, progress if processes.rank == 0 else None)


def _steps(steps: int | None, epochs: int | None, batches: Batches) -> int:
    if steps is not None and epochs is not None:
        raise ArgumentError(f"steps {steps} and epochs {epochs} are both given; give one of them")
    if epochs is None:
        return defaults.DEFAULT_STEPS if steps is None else steps
    if epochs < 1:
        raise ArgumentError(f"epochs {epochs} is less than 1")
    return epochs * batches.per_epoch()
