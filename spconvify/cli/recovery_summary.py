"""What a recovery gave, and how it is shown."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from spconvify.cli.output import result, result_line
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


def show(summary: Summary | None, format: str) -> None:
    """Print the summary."""
    if summary is None:
        return
    if format == "json":
        result(json_text(dataclasses.asdict(summary)))
        return
    result_line(f"{summary.steps} steps of {summary.batch_size} images, loss {summary.loss:.4f}")
    if summary.top1 is not None:
        result_line(
            f"top-1: original {summary.top1_original:.2f} %, converted {summary.top1_before:.2f} %, "
            f"recovered {summary.top1:.2f} % (step {summary.best_step})"
        )
