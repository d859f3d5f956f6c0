"""What `eval_data` asks for: accuracy on labelled images, or the user's own metric, of both networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError
from spconvify.evaluation.metric import Metric, is_metric
from spconvify.progress import Progress
from spconvify.report.comparison import Side


@dataclass
class Judge:
    """Labelled images (images, labels), told by the words `labelled_from`, or a metric; or neither."""

    labelled: tuple[np.ndarray, Any] | None = None
    labelled_from: str = "with labels"
    metric: Metric | None = None

    @classmethod
    def of(cls, data: Any) -> Judge:
        """For the `eval_data` of a call.

        Raises:
            ArgumentError: if it is neither a pair (images, labels) nor a function.
        """
        if is_metric(data):
            return cls(metric=Metric.of(data))
        return cls(_labelled(data))

    def figures(self, network: nn.Layer, which: str, progress: Progress) -> Side:
        """Top-1 accuracy or the metric, on an otherwise empty `Side`.

        Args:
            network: one of both.
            which: "before" or "after".
            progress: called with (done, total, text).

        Raises:
            ArgumentError: if the network doesn't run on the images, or the metric fails.
        """
        found = Side(0, 0, 0)
        if self.labelled is not None:
            from spconvify.evaluation.accuracy import top1

            def report(done: int, total: int) -> None:
                progress(done, total, f"accuracy {which}")

            found.top1 = top1(network, *self.labelled, progress=report)
        if self.metric is not None:
            called = {"before": "the original", "after": "the converted network"}[which]
            progress(0, 1, f"{self.metric.name} of {called}")
            found.metrics = self.metric.of_network(network, called)
            progress(1, 1, f"{self.metric.name} of {called}")
        return found


def _labelled(data: Any) -> tuple[np.ndarray, Any] | None:
    if data is None:
        return None
    if not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ArgumentError("eval_data isn't a pair (images, labels), nor a function of the network")
    images, labels = data
    found = CalibrationImages(images)
    found.check_in_order("eval_data")
    batches = list(found)
    sizes = list({batch.shape[1:]: None for batch in batches})
    if len(sizes) > 1:
        one, other = ("x".join(map(str, size)) for size in sizes[:2])
        raise ArgumentError(
            f"eval_data holds images of several sizes, as {one} and {other}; bring them to one size"
        )
    return np.concatenate(batches), labels
