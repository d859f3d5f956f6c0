"""What `spconvify recover` does with its options: read, distil, save, show."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spconvify.checkpoint import check_output
from spconvify.cli.data import Data, note_skipped, pictures_like
from spconvify.cli.inputs import parse_inputs
from spconvify.cli.output import note, progress_bar, stderr, working
from spconvify.cli.paddle_setup import load_paddle
from spconvify.cli.recovery_summary import Metrics, Summary
from spconvify.cli.teacher import naming_program
from spconvify.data.preparation import Layout
from spconvify.errors import ArgumentError, CheckpointError
from spconvify.recovery.launched import first_process
from spconvify.recovery.lock import only_run
from spconvify.recovery.recipe import Recipe
from spconvify.source.loading import find_program, is_checkpoint, open_source, save_at
from spconvify.zoo.custom import named_function

_LINES = 10  # of progress where there is no terminal


@dataclass
class Networks:
    """The converted checkpoint and the original one; `input` is what --input says."""

    student: str
    teacher: str
    arch: str | None
    input: Sequence[str] | None
    weights: str | None = None  # these two pick a part of the teacher's file
    ignore: Sequence[str] = ()

    def open(self, quiet: bool) -> tuple[Any, Any, Any]:
        """Both networks, and their input: a shape, or `Inputs`.

        Raises:
            ArgumentError: if one isn't a checkpoint, or the student isn't a converted one.
            CheckpointError: if one can't be read.
        """
        for source in (self.student, self.teacher):
            if not is_checkpoint(source):
                raise ArgumentError(f"{source!r} isn't a .pdparams or .safetensors file")
        if find_program(self.student) is not None:
            raise ArgumentError(
                f"{self.student} is an exported program; train the checkpoint that "
                "`spconvify convert PROGRAM --out FILE.pdparams` writes, with --arch PROGRAM"
            )
        sources: list[Any] = []
        for source in (self.student, self.teacher):
            with working(f"reading {source}", quiet):
                part: Any = {"weights": self.weights, "ignore": self.ignore} if sources else {}
                arch = None if find_program(source) else self.arch
                with naming_program(source, self.teacher, self.arch):
                    sources.append(open_source(source, arch, **part))
        with working("loading Paddle", quiet):
            load_paddle()
        if not sources[0].converted:
            raise ArgumentError(f"{self.student} isn't converted; run `spconvify convert` on it first")
        student, teacher = (source.build() for source in sources)
        found = parse_inputs(self.input).inputs(teacher, sources[0].architecture.input_shape)
        return student, teacher, found[0]


@dataclass
class Training:
    """Images, numbers, and where checkpoints and curves go; `remove` the checkpoint at the end.

    `place` is where that was when it was checked; `loss` is as the option has it.
    """

    data: Path
    recipe: Recipe
    epochs: int | None
    augment: bool
    checkpoint: Path
    place: Path
    log_dir: Path | None
    remove: bool
    loss: str | None = None

    def batches(self, data: Data, shape: tuple[int, ...], layout: Layout, quiet: bool) -> Any:
        """The training images."""
        from spconvify.data.augment import flip_and_shift, on_channels_last
        from spconvify.recovery.batches import Batches

        images = self._folder(data, shape, layout, quiet)
        if images is None:
            with_labels = bool(self.recipe.label_weight)
            read = data.read(self.data, shape, layout, quiet, labels=with_labels)
            if with_labels and read.labels is None:
                raise ArgumentError(f"--label-weight needs labels, and {self.data} has none")
            images = read.values if read.labels is None else (read.values, read.labels)
        augment = flip_and_shift if layout == "NCHW" else on_channels_last(flip_and_shift)
        recipe = self.recipe
        return Batches(images, recipe.batch_size, recipe.seed, augment if self.augment else None)

    def _folder(self, data: Data, shape: tuple[int, ...], layout: Layout, quiet: bool) -> Any:
        """A folder's pictures, read when they are wanted; None if the images are in one file."""
        from spconvify.recovery.folder import PictureFolder

        if not self.data.is_dir():
            return None
        preparation = data.preparation(shape, layout)
        with progress_bar(f"looking at {self.data}", quiet) as progress:
            folder = PictureFolder(self.data, preparation, progress=progress)
        note(folder.note, quiet)
        note_skipped(folder.skipped, quiet)
        return folder


@dataclass
class Output:
    """The checkpoint to write: its name, where that was when it was checked; `force`: it may exist."""

    target: Path
    place: Path
    force: bool


def run(
    networks: Networks, training: Training, data: Data, output: Output, quiet: bool
) -> Summary | None:
    """Train, save and sum up; None in a process that isn't the first of several.

    Raises:
        SpconvifyError: if anything on the way fails.
    """
    quiet = quiet or not first_process()
    kept = training.checkpoint
    # A network may change the current folder.
    training = dataclasses.replace(training, checkpoint=kept.absolute())
    with only_run(output.target), only_run(kept), _interruptible(kept, training.checkpoint, quiet):
        check_output(output.target, output.force)  # another run may have ended meanwhile
        return _run(networks, training, data, output, quiet)


def _run(
    networks: Networks, training: Training, data: Data, output: Output, quiet: bool
) -> Summary | None:
    student, teacher, inputs = networks.open(quiet)
    recipe = training.recipe
    if training.loss and ":" in training.loss:
        function = named_function(training.loss, f"loss {training.loss!r}")
        recipe = dataclasses.replace(recipe, loss=function)
    from spconvify.network.examples import form_of
    from spconvify.network.inputs import Inputs
    from spconvify.recovery.batches import Form
    from spconvify.recovery.pairs import check_pair
    from spconvify.recovery.run import distil
    from spconvify.recovery.schedule import Schedule

    batches = training.batches(data, *pictures_like(teacher, inputs), quiet)
    batches.form = Form(teacher, inputs if isinstance(inputs, Inputs) else form_of(None, teacher))
    if training.epochs is not None:
        recipe = dataclasses.replace(recipe, steps=training.epochs * batches.per_epoch())
    metrics = Metrics(data.read_metric(), quiet)
    check_pair(student, teacher)  # here already, since a metric may take long
    metrics.take("original", teacher)
    metrics.take("converted", student)
    images = data.read_labelled(teacher, inputs, quiet)
    labelled = images and (images.values, images.labels)
    schedule = Schedule(checkpoint=training.checkpoint, log_dir=training.log_dir, place=training.place)
    start = time.monotonic()

    def tell(message: str) -> None:
        note(message, quiet)

    with _progress(quiet) as report:
        state = distil(student, teacher, batches, recipe, schedule, labelled, progress=report, tell=tell)
    if not first_process():
        return None
    seconds = time.monotonic() - start
    _save(student, output, training.checkpoint)
    if training.remove and state.file is not None and not state.file.remove():
        note(f"warning: {training.checkpoint} stays: this run hasn't written what is there now")
    note(f"saved {output.target}", quiet)
    summary = Summary(str(output.target), recipe.steps, recipe.batch_size, seconds, state.losses[-1])
    summary.resumed_from = state.resumed_from
    metrics.take("recovered", student)
    summary.metrics = metrics.by_name
    if labelled is not None and state.best_step is not None:
        from spconvify.calibration.structured import around
        from spconvify.evaluation.accuracy import top1

        whole = around(labelled[0], batches.form.like, "--eval"), labelled[1]
        summary.top1_original = top1(teacher, *whole)
        summary.top1_before, summary.top1 = state.top1[0], state.top1[state.best_step]
        summary.best_step = state.best_step
    return summary


def unknown_yet(own: Any, taught: Any) -> Any:
    """In the place of a function that isn't imported yet."""
    raise NotImplementedError


def _save(student: Any, output: Output, kept: Path) -> None:
    try:
        save_at(student, output.target, output.place, output.force)
    except CheckpointError as error:
        raise CheckpointError(
            error, f". Nothing is lost: run the same again with another --out and --checkpoint {kept}"
        ) from error


@contextlib.contextmanager
def _interruptible(shown: Path, checkpoint: Path, quiet: bool) -> Iterator[None]:
    """Say on Ctrl-C, or a signal to end, what is kept."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if checkpoint.exists():
            note(f"{shown} is kept: the same command goes on from there", quiet)
        raise


@contextlib.contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """A bar on a terminal, a few lines elsewhere: loss, accuracy and time left."""
    with progress_bar("recovering", quiet) as move:

        def report(now: Any) -> None:
            move(now.step, now.steps, now.text)
            last = now.step == now.steps
            due = now.top1 is not None or now.step % max(1, now.steps // _LINES) == 0
            if (due or last) and not stderr.is_terminal:
                note(f"{now.text}, {now.seconds_left:.0f} s left", quiet)

        yield report
