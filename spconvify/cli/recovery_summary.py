"""What a recovery gave, and how it is shown: accuracies, and the user's own figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from spconvify.cli.output import result, result_line, working
from spconvify.printable import json_text


@dataclass
class Summary:
    """What a recovery gave; accuracies in per cent, None where there were no labelled images."""

    checkpoint: str
    steps: int
    batch_size: int
    seconds: float
    loss: float
    resumed_from: int = 0
    top1_original: float | None = None
    top1_before: float | None = None
    top1: float | None = None
    best_step: int | None = None
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)  # by name, then by network


def show(summary: Summary | None, format: str) -> None:
    """Print the summary."""
    if summary is None:
        return
    if format == "json":
        result(json_text(dataclasses.asdict(summary)))
        return
    result_line(f"{summary.steps} steps of {summary.batch_size} images, loss {summary.loss:.4f}")
    for line in _lines(summary.metrics):
        result_line(line)
    if summary.top1 is not None:
        result_line(
            f"top-1: original {summary.top1_original:.2f} %, converted {summary.top1_before:.2f} %, "
            f"recovered {summary.top1:.2f} % (step {summary.best_step})"
        )


class Metrics:
    """What a metric says of each network, if there is one.

    Args:
        metric: a `spconvify.evaluation.metric.Metric`, or None.
        quiet: no spinner.
    """

    def __init__(self, metric: Any, quiet: bool):
        self._metric, self._quiet = metric, quiet
        self.by_name: dict[str, dict[str, float]] = {}  # then by network

    def take(self, which: str, network: Any) -> None:
        """Compute it of a network.

        Raises:
            ArgumentError: if the metric fails.
        """
        if self._metric is None:
            return
        with working(f"{self._metric.name} of the {which} network", self._quiet):
            for name, value in self._metric.of_network(network, f"the {which} network").items():
                self.by_name.setdefault(name, {})[which] = value


def _lines(metrics: dict[str, dict[str, float]]) -> Iterator[str]:
    """A line for each figure: of every network that has it."""
    for name, values in metrics.items():
        yield f"{name}: " + ", ".join(f"{which} {value:.5g}" for which, value in values.items())
