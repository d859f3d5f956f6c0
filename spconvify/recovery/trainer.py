"""The training loop of a recovery: steps, accuracies, checkpoints, and a stop where it fails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, NoReturn

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from spconvify.errors import ArgumentError, RecoveryError
from spconvify.evaluation.labels import check_labels
from spconvify.evaluation.metric import Metric
from spconvify.files.identity import OwnFile
from spconvify.network.batches import shape_of, size_of
from spconvify.network.failures import first_line
from spconvify.network.finite import not_finite
from spconvify.recovery.batches import Batch, Batches
from spconvify.recovery.distillation import Distillation
from spconvify.recovery.evaluation import Evaluation
from spconvify.recovery.optimizer import Optimizer
from spconvify.recovery.processes import Processes
from spconvify.recovery.progress import Reporter, Tell, shown
from spconvify.recovery.recipe import Recipe
from spconvify.recovery.schedule import Schedule
from spconvify.recovery.state import RunState, load_run, restore, save_run, snapshot
from spconvify.recovery.statistics import average_statistics, batches_to_average, statistics_of

_FEWEST_TO_TELL, _RISEN = 4, 2.0  # steps that tell whether the loss rises, and what counts as that


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
        metric: the user's own figures, or None.
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
        metric: Metric | None = None,
    ):
        self._student, self._loss, self._recipe, self._schedule = student, loss, recipe, schedule
        self._processes, self._run, self._evaluation = processes, run, evaluation
        self._metric = metric
        self._optimizer = Optimizer(student, recipe)
        self._labelled = _labelled_output(loss) if recipe.label_weight else None
        path = schedule.checkpoint
        self._file = None if path is None else OwnFile(path, schedule.place or path)
        self._state = RunState(file=self._file)

    def run(self, batches: Batches, report: Any, tell: Tell) -> RunState:
        """Train from where the checkpoint is, or from the start, to the last step.

        Interrupted, the student goes back to the checkpoint, if there is one to be: the same call with
        it goes on from there.

        Raises:
            RecoveryError: if the loss isn't finite any more; the student has the last good weights.
        """
        self._good = (0, snapshot(self._student))
        random_state, reporter = paddle.get_rng_state(), None
        try:
            self._resume(tell)
            reporter = Reporter(self._recipe.steps, self._state.step, report, self._schedule.log_dir)
            for batch in self._rest(batches):
                self._one_step(batch, batches, reporter)
        except BaseException as error:
            if self._schedule.checkpoint is not None or isinstance(error, RecoveryError):
                restore(self._student, self._good[1])
            raise
        finally:
            paddle.set_rng_state(random_state)
            if reporter is not None:
                reporter.close()
        if self._state.best is not None:
            restore(self._student, self._state.best)
        elif rise := _rise(self._state.losses):
            tell(
                f"warning: {rise}, so the student is further from the teacher than it was; try a "
                f"learning_rate below {self._recipe.learning_rate:g}"
            )
        return self._state

    def _resume(self, tell: Tell) -> None:
        file, steps = self._file, self._recipe.steps
        found = file and load_run(file, self._run, self._student, self._optimizer)
        if found:
            self._state = found
            self._good = (found.step, snapshot(self._student))
            done = f"all {steps} steps" if found.step == steps else f"{found.step} of {steps} steps"
            tell(f"resuming: checkpoint {self._schedule.checkpoint} has {done} of this run")
        elif self._evaluation is not None:
            self._state.note_accuracy(self._evaluation.top1(self._student), self._student)
        if self._metric is not None:  # also to see at once that it fails
            tell(f"at step {self._state.step}: {shown(self._figures())}")
        self._processes.wait()

    def _rest(self, batches: Batches) -> Iterable[Batch]:
        steps = range(self._state.step, self._recipe.steps)
        return (batch for _, batch in zip(steps, batches.starting_at(self._state.step)))

    def _one_step(self, batch: Batch, batches: Batches, reporter: Reporter) -> None:
        rate, done = self._recipe.rate(self._state.step), self._state.step + 1
        loss = self._step(batch, rate)
        if not math.isfinite(loss):
            self._stop(f"the loss is {loss}", rate)
        if done == self._recipe.steps:
            self._settle(batches, done)
        evaluates, saves = self._due(done)
        if evaluates or saves:
            self._processes.mean(statistics_of(self._student))
            if not_finite(self._student):
                self._stop("weights aren't finite any more", rate)
        self._state.step = done
        self._state.losses.append(loss)
        top1, figures = (self._evaluate(), self._figures()) if evaluates else (None, {})
        if saves:
            self._save()
        reporter.step(done, loss, rate, top1, figures)

    def _step(self, batch: Batch, rate: float) -> float:
        if self._labelled is not None:
            batch = Batch(batch.images, self._labels_of(batch))
        share = Batch(*map(self._processes.share, batch))
        # Dropout is the same whether or not the run was interrupted, and another one in each process.
        paddle.seed(_seed_of(self._recipe.seed, self._state.step, self._processes.rank))
        loss = self._loss_of(share.images, share.labels)
        loss.backward()
        gradients = [p.grad for p in self._optimizer.parameters if p.grad is not None]
        value = loss.detach()
        self._processes.mean([value, *gradients])
        if math.isfinite(float(value)):
            self._optimizer.step(rate)
        self._optimizer.clear()
        return float(value)

    def _loss_of(self, images: Any, labels: np.ndarray | None) -> paddle.Tensor:
        try:
            loss, outputs = self._loss(images)
        except ArgumentError:
            raise
        except Exception as error:  # whatever the user's network raises
            raise ArgumentError(
                f"step {self._state.step}: the networks don't run on a batch of "
                f"{'x'.join(map(str, shape_of(images)))}: {first_line(error)}"
            ) from error
        if self._labelled is not None:
            target = F.cross_entropy(outputs[self._labelled[0]], paddle.to_tensor(labels))
            loss = loss + self._recipe.label_weight * target
        return loss

    def _labels_of(self, batch: Batch) -> np.ndarray:
        """Of the whole batch, so that every process finds what is wrong with them."""
        number = self._state.step
        if batch.labels is None:
            raise ArgumentError(f"label_weight needs labels, and batch {number} has none")
        classes = self._labelled[1] if self._labelled else None
        return check_labels(
            batch.labels, size_of(batch.images), f"the training data: batch {number}", classes
        )

    def _stop(self, problem: str, rate: float) -> NoReturn:
        kept = self._file
        raise RecoveryError(
            f"step {self._state.step}: {problem}; the student is back at step {self._good[0]}"
            + (f", and so is {kept.path}" if kept and kept.is_there() else "")
            + f"; try a learning_rate below {self._recipe.learning_rate:g} (now {rate:g})"
        )

    def _settle(self, batches: Batches, done: int) -> None:
        """Average the BatchNorms' statistics, unless the training was too short for that."""
        count = batches_to_average(self._recipe.steps)
        if count:
            coming = islice(batches.starting_at(done), count)
            shares = (self._processes.share(batch.images) for batch in coming)
            average_statistics(self._student, shares)

    def _due(self, done: int) -> tuple[bool, bool]:
        """Whether accuracy is looked at, and a checkpoint written, after so many steps."""
        evaluates = self._recipe.evaluates(done, self._schedule.eval_every)
        saves = self._recipe.saves(done, self._schedule.checkpoint_every)
        return (self._evaluation is not None or self._metric is not None) and evaluates, saves

    def _figures(self) -> dict[str, float]:
        return {} if self._metric is None else self._metric.of_network(self._student, "the student")

    def _evaluate(self) -> float | None:
        if self._evaluation is None:
            return None
        top1 = self._evaluation.top1(self._student)
        self._state.note_accuracy(top1, self._student)
        return top1

    def _save(self) -> None:
        weights = snapshot(self._student)
        if self._file is not None:
            if self._processes.rank == 0:
                save_run(self._file, self._state, self._run, self._student, self._optimizer)
            self._processes.wait()
        self._good = (self._state.step, weights)


def _labelled_output(loss: Distillation) -> tuple[str, int]:
    """The one output that labels (N,) can be for: its name in the student's result, and its classes."""
    found = [(term.output, term.classes) for term in loss.terms.values() if term.classes is not None]
    if len(found) != 1:
        names = ", ".join(repr(name) for name, _ in found)
        raise ArgumentError(
            "label_weight needs one output with a score for every class (N, classes), and the networks "
            + (f"have {len(found)}: {names}; give a network that has one" if found else "have none")
            + ", or leave label_weight 0"
        )
    return found[0]


def _rise(losses: Sequence[float]) -> str:
    """How far the loss has risen, where that is more than single batches make it; "" if it hasn't."""
    few = max(1, len(losses) // 10)
    first, last = (float(np.mean(some)) for some in (losses[:few], losses[-few:]))
    rose = len(losses) >= _FEWEST_TO_TELL and last > _RISEN * first
    return f"the loss rose from {first:.3g} to {last:.3g}" if rose else ""


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])
