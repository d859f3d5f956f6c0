"""recover: check, distil, and hand the student back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.metric import Metric, is_metric
from spconvify.input_check.check import check_batch
from spconvify.network.examples import form_of, given_inputs
from spconvify.recovery import recipe as defaults
from spconvify.recovery.batches import Augment, Batches, Form
from spconvify.recovery.distillation import Distillation, distilling
from spconvify.recovery.evaluation import Evaluation
from spconvify.recovery.launched import launched
from spconvify.recovery.lock import only_run
from spconvify.recovery.matching import check_outputs, check_some_left, maps_to_learn, match_outputs
from spconvify.recovery.own_loss import OwnLoss, of_loss
from spconvify.recovery.pairs import check_networks, replaced_layers
from spconvify.recovery.processes import Processes
from spconvify.recovery.progress import Report, Tell, reporting, tell
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
    loss: str | Callable[[Any, Any], Any] | None = None,
    axis: int | None = None,
    same_network: bool = True,
    example: Any = None,
    progress: Report | bool | None = None,
) -> nn.Layer:
    """Train a converted network to do what the original one does: distillation, without labels.

    Every output of the networks is compared, in dictionaries and lists too: scores of classes, for an
    image (N, K) or for each pixel (N, K, H, W), by the KL divergence at a temperature, softmax over the
    classes; images and other values by their squared distance, as a share of the teacher's variance;
    `loss` and `axis` choose otherwise.
    Outputs that can't be learnt (integers, boxes whose number depends on the image) are left out, and
    named. If `feature_weight` isn't 0, the distance between the outputs of the replaced convolutions and
    those of the SPConv layers in their place is added. AdamW, a linear warm-up and half a cosine,
    gradients clipped to a global norm; at the end the BatchNorms' statistics are averaged over a tenth
    as many batches as there were steps (from 200 steps on). The student is trained in place and comes
    back in its own mode, the teacher isn't changed.

    Frozen parameters stay as they are. A student in eval mode is trained as a whole; in one that is in
    training mode, layers that are in eval mode stay so, such as BatchNorms with frozen statistics.

    Under ``python -m paddle.distributed.launch`` each process takes its share of every batch, so that a
    step is the same step; process 0 writes.

    Args:
        student: the converted network, best fitted to calibration images (``init="lstsq"``).
        teacher: the network that it was converted from.
        data: an array of images (N, C, H, W), floats normalised as the network needs them; a pair
            (images, labels), a ``paddle.io.Dataset``, or an iterable of batches, as a
            ``paddle.io.DataLoader`` (its own batch size and order count then).
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
            come back, which may be those of the start. Or your own metric: a function that is called
            with the student in eval mode and returns a number, or several in a dictionary by their
            names; these are shown and in the `RecoveryProgress`, and choose no weights, since more isn't
            better for each. Every process calls it.
        eval_every: steps between two looks at the accuracy or the metric; None looks five times.
        checkpoint: a ``.safetensors`` file. If it is there and of this very run (networks, data, labels
            and numbers are compared; of a ``Dataset`` of more than 1,000 items, 1,000 that lie evenly in
            it), the training goes on from it, and says so on stderr. Stopped on the way, as
            by Ctrl-C, the student is what the checkpoint has. One run at a time can have it.
        checkpoint_every: steps between two checkpoints; None writes twenty.
        log_dir: folder for VisualDL's curves.
        seed: of the order of the images and of `augment`. The same seed gives the same weights.
        loss: "kl" or "mse" for every output; None goes by its kind. Numbers (N, K) that aren't scores of
            classes, as coordinates, need "mse". Or a function in place of both, as
            ``paddle.nn.functional.l1_loss``: it gets (student_outputs, teacher_outputs), which is what
            the two networks return for a batch, the student in training mode and the teacher in eval
            mode and without gradients, nothing left out; and gives a tensor of one number that has a
            gradient and is to become small.
        axis: of the classes, in the outputs that "kl" is for; None looks for it by the shapes of input
            and output. A recogniser's (N, T, K) needs ``loss="kl", axis=2``.
        same_network: False accepts a student that differs from the teacher elsewhere too, such as a
            pruned one; then only the outputs must match.
        example: an input of a network that takes more than pictures, as a tuple or a dictionary of
            arrays: what batches of pictures alone lack. Batches may be dictionaries, or tuples of all.
        progress: called after every step with a `RecoveryProgress`; None shows a bar on a terminal and
            in a notebook, and False nothing.

    Returns:
        The student.

    Raises:
        ArgumentError: for a number that can't be, networks that don't belong together (the first
            difference is named), data or labels that don't fit, or a checkpoint of another run, or one
            that another run is at work on.
        RecoveryError: if the loss isn't finite; the student has the last good weights then.
        CheckpointError: if a checkpoint can't be read or written.

    Warns:
        InputWarning: if the images don't look like what the teacher was trained on.
    """
    launched()  # finds wrong variables before anything is read
    like = form_of(None, teacher) if example is None else given_inputs(None, example, teacher)
    batches = Batches(data, batch_size, seed, augment, Form(teacher, like))
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
        loss,
        axis,
    )
    schedule = Schedule(
        eval_every,
        checkpoint_every,
        None if checkpoint is None else Path(checkpoint),
        None if log_dir is None else Path(log_dir),
    )
    with only_run(schedule.checkpoint), reporting(progress) as report:
        distil(student, teacher, batches, recipe, schedule, eval_data, same_network, report)
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
    tell: Tell = tell,
) -> RunState:
    """`recover` for ready settings; tells what happened: losses, and accuracies by step."""
    schedule = schedule or Schedule()
    for settings in (recipe, schedule):
        settings.check()
    schedule = schedule.absolute()
    check_networks(student, teacher, same_network)
    processes, images = Processes(), batches.first().images
    if processes.rank != 0:
        progress, tell = None, _nobody
    own = OwnLoss(recipe.loss) if callable(recipe.loss) else None
    ignored = {} if own else check_outputs(student, teacher, images)
    if processes.rank == 0:
        check_batch(teacher, images, "training")
    metric = Metric.of(eval_data) if is_metric(eval_data) else None
    judged = eval_data is not None and metric is None
    evaluation = Evaluation(eval_data, processes, batches.form) if judged else None
    if evaluation is not None and processes.rank == 0:
        check_batch(teacher, evaluation.first(), "evaluation")
    with distilling(student, teacher):
        outputs, maps = None, list[str]()
        if own:
            own.check(student, teacher, images)
        else:
            outputs = match_outputs(student, teacher, images, ignored)
            maps = maps_to_learn(student, teacher, images, ignored)
            check_some_left(outputs, maps, ignored)
        for name, why in ignored.items():
            tell(f"output {name!r} is left out of the loss: {why}")
        if maps:
            tell(f"learnt in its place: what the layers {', '.join(map(repr, maps))} give")
        layers = replaced_layers(student, teacher, as_wide=same_network)
        loss = Distillation(student, teacher, layers, recipe, images, outputs, maps)
        run = _identity(student, teacher, recipe, batches, evaluation) if schedule.checkpoint else {}
        trainer = Trainer(student, loss, recipe, schedule, processes, run, evaluation, metric)
        return trainer.run(batches, progress, tell)


def _identity(
    student: nn.Layer,
    teacher: nn.Layer,
    recipe: Recipe,
    batches: Batches,
    evaluation: Evaluation | None,
) -> dict[str, Any]:
    """What makes a run this run, for its checkpoint."""
    if callable(recipe.loss):
        recipe = replace(recipe, loss=of_loss(recipe.loss, teacher, batches.first().images))
    found = identity(student, teacher, recipe)
    loss, beside = found.pop("loss"), batches.describe_beside()
    return {
        **found,
        "data": batches.describe(),
        **({"beside": beside} if beside else {}),
        "augmentation": batches.describe_augmentation(),
        "eval_data": evaluation.describe() if evaluation else "none",
        "loss": loss,  # last: what a function gives changes with the teacher and the images
    }


def _nobody(message: str) -> None:
    """Only the first of several processes talks."""


def _steps(steps: int | None, epochs: int | None, batches: Batches) -> int:
    if steps is not None and epochs is not None:
        raise ArgumentError(f"steps {steps} and epochs {epochs} are both given; give one of them")
    if epochs is None:
        return defaults.DEFAULT_STEPS if steps is None else steps
    if epochs < 1:
        raise ArgumentError(f"epochs {epochs} is less than 1")
    return epochs * batches.per_epoch()
