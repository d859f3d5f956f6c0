"""What `eval_data` asks for: accuracy on labelled images, or the user's own metric, of both networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.data.images import in_batches
from spconvify.errors import ArgumentError
from spconvify.evaluation.metric import Metric, is_metric
from spconvify.input_check.check import check_batch
from spconvify.network.batches import Batch, joined, shape_of
from spconvify.network.inputs import Inputs
from spconvify.progress import Progress
from spconvify.report.side import Side


@dataclass
class Judge:
    """Labelled images (images, labels), told by the words `labelled_from`, or a metric; or neither."""

    labelled: tuple[Batch, Any] | None = None
    labelled_from: str = "with labels"
    metric: Metric | None = None

    @classmethod
    def of(cls, data: Any, model: nn.Layer, form: Inputs | None) -> Judge:
        """For the `eval_data` of a call, for a network whose several inputs have a `form`.

        Raises:
            ArgumentError: if it is neither a pair (images, labels) nor a function.
        """
        if is_metric(data):
            return cls(metric=Metric.of(data))
        return cls(read_labelled(data, model, form))

    def figures(self, network: nn.Layer, which: str, progress: Progress) -> Side:
        """Top-1 accuracy or the metric, on an otherwise empty `Side`.

        Args:
            network: one of both.
            which: "before" or "after".
            progress: called with (done, total, text).

        Raises:
            ArgumentError: if the network doesn't run on the images, or the metric fails.

        Warns:
            InputWarning: if the labelled images don't look like what the original was trained on.
        """
        found = Side(0, 0, 0)
        if self.labelled is not None:
            from spconvify.evaluation.accuracy import top1

            if which == "before":
                check_batch(network, self.labelled[0], "evaluation")

            def report(done: int, total: int) -> None:
                progress(done, total, f"accuracy {which}")

            found.top1 = top1(network, *self.labelled, progress=report)
        if self.metric is not None:
            called = {"before": "the original", "after": "the converted network"}[which]
            progress(0, 1, f"{self.metric.name} of {called}")
            found.metrics = self.metric.of_network(network, called)
            progress(1, 1, f"{self.metric.name} of {called}")
        return found


def read_labelled(data: Any, model: nn.Layer, form: Inputs | None) -> tuple[Batch, Any] | None:
    """(images, labels) as they were given, the images in one batch; None if none were.

    Raises:
        ArgumentError: if these are no such pair, or the images are of several sizes.
    """
    if data is None:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ArgumentError("eval_data isn't a pair (images, labels), nor a function of the network")
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


def images_in_batches(images: Batch) -> list[Any]:
    """Images as `CalibrationImages` takes them."""
    return [images] if isinstance(images, Inputs) else list(in_batches(images))
