"""Labelled images of a workflow: read once, and what a network makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.data.images import in_batches
from spconvify.errors import ArgumentError
from spconvify.network.batches import Batch, joined, shape_of
from spconvify.network.inputs import Inputs
from spconvify.progress import Progress

if TYPE_CHECKING:
    from spconvify.workflow.slim import Job


def images_in_batches(images: Batch) -> list[Any]:
    """Images as `CalibrationImages` takes them."""
    return [images] if isinstance(images, Inputs) else list(in_batches(images))


def read_labelled(data: Any, model: nn.Layer, form: Inputs | None) -> tuple[Batch, Any] | None:
    """(images, labels) as they were given, the images in one batch; None if none were.

    Raises:
        ArgumentError: if these are no such pair, or the images are of several sizes.
    """
    if data is None:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ArgumentError("eval_data isn't a pair (images, labels)")
    images, labels = data
    found = CalibrationImages(images, model, form)
    found.check_in_order("eval_data")
    batches = list(found)
    sizes = list({shape_of(batch)[1:]: None for batch in batches})
    if len(sizes) > 1:
        one, other = ("x".join(map(str, size)) for size in sizes[:2])
        raise ArgumentError(
            f"eval_data holds images of several sizes, as {one} and {other}; bring them to one size"
        )
    return joined(batches), labels


def accuracy(model: nn.Layer, job: Job, text: str, progress: Progress) -> float | None:
    """Top-1 on a job's labelled images, in per cent; None if there are none."""
    if job.labelled is None:
        return None
    from spconvify.evaluation.accuracy import top1

    def report(done: int, total: int) -> None:
        progress(done, total, text)

    return top1(model, *job.labelled, progress=report)
