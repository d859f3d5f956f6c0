"""The training loop of a recovery: steps, accuracies, checkpoints, and a stop where it fails."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.errors import ArgumentError, RecoveryError
from spconvify.recovery.batches import Batch, Batches
from spconvify.recovery.distillation import Distillation
from spconvify.recovery.evaluation import Evaluation
from spconvify.recovery.processes import Processes
from spconvify.recovery.progress import Reporter
from spconvify.recovery.recipe import Recipe
from spconvify.recovery.schedule import Schedule
from spconvify.recovery.state import RunState, load_run, restore, save_run, snapshot
from spconvify.recovery.statistics import average_statistics, batches_to_average
from spconvify.verify import first_line


class Trainer:
    """One student and its optimizer; `run` does the rest of the steps.

    Args:
        student: in training mode, its hooks in place.
        loss: of a batch.
        recipe: the numbers.
        schedule: accuracies and checkpoints.
        processes: who trains.
        run: what identifies the run, for its checkpoint.
        evaluation: how accuracy is measured, or None.
    """

    def __init__(
        self,
        student: nn.Layer,
        loss: Distillation,
        recipe: Recipe,
        schedule: Schedule,
        processes: Processes,
        run: dict[str, Any],
        evaluation: Evaluation | None,
    ):
        self._student, self._loss, self._recipe, self._schedule = student, loss, recipe, schedule
        self._processes, self._run, self._evaluation = processes, run, evaluation
        self._parameters = [p for p in student.parameters() if not p.stop_gradient]
        if not self._parameters:
            raise ArgumentError("the student has no trainable parameter; unfreeze some")
        self._optimizer = paddle.optimizer.AdamW(
            recipe.learning_rate,
            parameters=self._parameters,
            weight_decay=recipe.weight_decay,
            grad_clip=nn.ClipGradByGlobalNorm(recipe.clip_norm),
        )
        self._state = RunState()

    def run(self, batches: Batches, report: Any) -> RunState:
        """Train from where the checkpoint is, or from the start, to the last step.

        Raises:
            RecoveryError: if the loss isn't finite any more; the student has the last good weights.
        """
        self._resume()
        reporter = Reporter(self._recipe.steps, self._state.step, report, self._schedule.log_dir)
        good = (self._state.step, snapshot(self._student))
        random_state = paddle.get_rng_state()
        try:
            for batch in self._rest(batches):
                rate = self._recipe.rate(self._state.step)
                loss = self._step(batch, rate)
                if not math.isfinite(loss):
                    self._stop(f"the loss is {loss}", rate, *good)
                if self._saves(self._state.step + 1) and not _is_finite(self._student):
                    self._stop("weights aren't finite any more", rate, *good)
                self._state.step += 1
                self._state.losses.append(loss)
                if self._state.step == self._recipe.steps:
                    self._settle(batches)
                top1 = self._after_step()
                if self._saves(self._state.step):
                    good = (self._state.step, snapshot(self._student))
                reporter.step(self._state.step, loss, rate, top1)
        finally:
            paddle.set_rng_state(random_state)
            reporter.close()
        if self._state.best is not None:
            restore(self._student, self._state.best)
        return self._state

    def _resume(self) -> None:
        path = self._schedule.checkpoint
        found = path and load_run(path, self._run, self._student, self._optimizer)
        if found:
            self._state = found
        elif self._evaluation is not None:
            self._state.note_accuracy(self._evaluation.top1(self._student), self._student)
        self._processes.wait()

    def _rest(self, batches: Batches) -> Iterable[Batch]:
        steps = range(self._state.step, self._recipe.steps)
        return (batch for _, batch in zip(steps, batches.starting_at(self._state.step)))

    def _step(self, batch: Batch, rate: float) -> float:
        share = Batch(*map(self._processes.share, batch))
        # Dropout is the same whether or not the run was interrupted, and another one in each process.
        paddle.seed(_seed_of(self._recipe.seed, self._state.step, self._processes.rank))
        loss = self._loss_of(paddle.to_tensor(share.images), share.labels)
        loss.backward()
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        value = loss.detach()
        self._processes.mean([value, *gradients])
        if math.isfinite(float(value)):
            self._optimizer.set_lr(rate)
            self._optimizer.step()
        self._optimizer.clear_grad(set_to_zero=False)
        return float(value)

    def _loss_of(self, images: paddle.Tensor, labels: np.ndarray | None) -> paddle.Tensor:
        try:
            loss, logits = self._loss(images)
        except Exception as error:  # whatever the user's network raises
            raise ArgumentError(
                f"step {self._state.step}: the networks don't run on a batch of "
                f"{'x'.join(map(str, images.shape))}: {first_line(error)}"
            ) from error
        if self._recipe.label_weight:
            if labels is None:
                raise ArgumentError(f"label_weight needs labels, and batch {self._state.step} has none")
            target = paddle.to_tensor(labels.astype(np.int64))
            loss = loss + self._recipe.label_weight * F.cross_entropy(logits, target)
        return loss

    def _stop(self, problem: str, rate: float, step: int, weights: dict[str, np.ndarray]) -> None:
        restore(self._student, weights)
        kept = self._schedule.checkpoint
        raise RecoveryError(
            f"step {self._state.step}: {problem}; the student is back at step {step}"
            + (f", and so is {kept}" if kept and kept.exists() else "")
            + f"; try a learning_rate below {self._recipe.learning_rate:g} (now {rate:g})"
        )

    def _settle(self, batches: Batches) -> None:
        """Average the BatchNorms' statistics, unless the training was too short for that."""
        count = batches_to_average(self._recipe.steps)
        if count:
            coming = islice(batches.starting_at(self._state.step), count)
            shares = (self._processes.share(batch.images) for batch in coming)
            average_statistics(self._student, map(paddle.to_tensor, shares))

    def _after_step(self) -> float | None:
        """Look at the accuracy and write the checkpoint, where that is due."""
        evaluates = self._evaluation is not None and self._recipe.evaluates(
            self._state.step, self._schedule.eval_every
        )
        if evaluates or self._saves(self._state.step):
            self._processes.mean(_statistics(self._student))
        top1 = None
        if self._evaluation is not None and evaluates:
            top1 = self._evaluation.top1(self._student)
            self._state.note_accuracy(top1, self._student)
        path = self._schedule.checkpoint
        if path is not None and self._saves(self._state.step):
            if self._processes.rank == 0:
                save_run(path, self._state, self._run, self._student, self._optimizer)
            self._processes.wait()
        return top1

    def _saves(self, step: int) -> bool:
        return self._recipe.saves(step, self._schedule.checkpoint_every)


def _statistics(student: nn.Layer) -> list[paddle.Tensor]:
    """The BatchNorms' statistics: every process has seen other images. What is frozen stays the same."""
    tensors = student.state_dict().values()
    return [t for t in tensors if t.stop_gradient and "float" in str(t.dtype)]


def _is_finite(student: nn.Layer) -> bool:
    return all(bool(paddle.isfinite(p).all()) for p in student.parameters())


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
