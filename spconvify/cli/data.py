"""The images that a command was given: found, checked and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spconvify.cli.output import note, working
from spconvify.data.normalizations import find
from spconvify.data.preparation import Layout, Preparation
from spconvify.errors import ArgumentError
from spconvify.settings import check_seed

DEFAULT_COUNT = 256
_SHOWN = 20  # of what was skipped


@dataclass
class Data:
    """Images to fit the weights to, and labelled ones to see what that gave; None wasn't said."""

    calibration: Path | None = None
    count: int | None = None
    eval: Path | None = None
    resize: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int | None = None
    bgr: bool = False
    metric: str | None = None  # module:function, instead of `eval`
    kinds: Any = None  # of the outputs, see `spconvify.evaluation.kinds`
    normalize: str | None = None

    def __post_init__(self) -> None:
        if self.normalize is None:
            return
        known = find(self.normalize)
        for name, value in (("--mean", self.mean), ("--std", self.std)):
            if value is not None:
                raise ArgumentError(f"--normalize says mean and std, and {name} too; give one of them")
        self.mean, self.std, self.bgr = known.mean, known.std, self.bgr or known.bgr

    def check(self) -> None:
        """Find what can't be, before anything is read.

        Raises:
            ArgumentError: names the file, the label or the seed.
        """
        from spconvify.data.reading import check_exists

        check_seed(self.seed or 0)
        if self.calibration is not None:
            check_exists(self.calibration)
        self.check_labelled()

    def check_labelled(self) -> None:
        """Refuse an `eval` that has no labels, or labels that can't be.

        Raises:
            ArgumentError: names the label.
        """
        from spconvify.data.reading import check_labelled

        if self.eval is not None:
            check_labelled(self.eval)

    def judge(self, model: Any, inputs: Any, form: Any, quiet: bool) -> Any:
        """What both networks are judged by, a `Judge`; `form` has what goes with pictures."""
        from spconvify.calibration.structured import around
        from spconvify.workflow.judging import Judge

        if self.metric is not None:
            return Judge(metric=self.read_metric())
        images = self.read_labelled(model, inputs, quiet)
        if images is None:
            return Judge()
        labelled = around(images.values, form, "--eval"), images.labels
        return Judge(labelled, f"of {self.eval.name}" if self.eval else "")

    def read_metric(self) -> Any:
        """The user's function, imported; None if there is none."""
        from spconvify.evaluation.metric import Metric
        from spconvify.zoo.custom import named_function

        if self.metric is None:
            return None
        return Metric(named_function(self.metric, f"metric {self.metric!r}"), self.metric)

    def read_calibration(self, model: Any, inputs: Any, quiet: bool) -> Any:
        """The images to fit to, as the network takes them, or None; `inputs`: a shape, or `Inputs`."""
        if self.calibration is None:
            return None
        shape, layout = pictures_like(model, inputs)
        count = self.count or DEFAULT_COUNT
        images = self.read(self.calibration, shape, layout, quiet, count=count, labels=False)
        if self.count is not None and len(images.values) < self.count:
            note(f"--calibration-count {self.count}: there are only {len(images.values)}", quiet)
        return images

    def read_labelled(self, model: Any, inputs: Any, quiet: bool) -> Any:
        """The images with labels, or None."""
        return None if self.eval is None else self.read(self.eval, *pictures_like(model, inputs), quiet)

    def preparation(self, shape: tuple[int, ...], layout: Layout) -> Preparation:
        """How images become an input of this shape."""
        options = {"resize": self.resize, "mean": self.mean, "std": self.std}
        channels = shape[1 if layout == "NCHW" else 3]
        if self.normalize is not None and channels != 3 and (self.bgr or len(self.mean or ()) > 1):
            raise ArgumentError(
                f"--normalize {self.normalize} is for three channels, and the network takes {channels}; "
                "give --mean and --std"
            )
        return Preparation.of(shape, layout, bgr=self.bgr, **options)

    def read(
        self, path: Path, shape: tuple[int, ...], layout: Layout, quiet: bool, **options: Any
    ) -> Any:
        """The images of `path` as the network wants them; says how they were made."""
        from spconvify.data.reading import read_images

        with working(f"reading {path}", quiet):
            images = read_images(path, self.preparation(shape, layout), seed=self.seed or 0, **options)
        note(images.note, quiet)
        note_skipped(images.skipped, quiet)
        return images


def pictures_like(model: Any, inputs: Any) -> tuple[tuple[int, ...], Layout]:
    """Shape and layout of the input that pictures go to; `inputs` are a shape, or `Inputs`.

    Raises:
        ArgumentError: if no input takes pictures, or several do.
    """
    from spconvify.network.batches import pictures_of
    from spconvify.network.first_convolution import input_layout
    from spconvify.network.inputs import Inputs

    shape = pictures_of(inputs).sizes if isinstance(inputs, Inputs) else inputs
    if len(shape) != len("NCHW"):
        raise ArgumentError(
            f"images are read for an input (N, C, H, W), and the network's is "
            f"{'x'.join(map(str, shape))}; give its own from Python"
        )
    return shape, input_layout(model, shape)


def note_skipped(skipped: Mapping[str, str], quiet: bool) -> None:
    """Say what couldn't be read, and why; the first ones of many."""
    for file, reason in list(skipped.items())[:_SHOWN]:
        note(f"skipped {file}: {reason}", quiet)
    if len(skipped) > _SHOWN:
        note(f"skipped {len(skipped) - _SHOWN} more", quiet)
