"""What a recovery tells while it runs: to a callback, and to VisualDL."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from spconvify.errors import ArgumentError
from spconvify.progress import showing


@dataclass(frozen=True)
class RecoveryProgress:
    """A moment of a recovery: `top1` in per cent is there where accuracy was just looked at.

    So are `metrics`, the user's own figures by name.
    """

    step: int
    steps: int
    loss: float
    learning_rate: float
    top1: Optional[float]
    seconds_left: float
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Step, loss and accuracy in a line."""
        text = f"step {self.step}/{self.steps}, loss {self.loss:.4f}"
        if self.top1 is not None:
            text += f", top-1 {self.top1:.2f} %"
        return f"{text}, {shown(self.metrics)}" if self.metrics else text


def shown(metrics: Mapping[str, float]) -> str:
    """Figures in a line."""
    return ", ".join(f"{name} {value:.5g}" for name, value in metrics.items())


Report = Callable[[RecoveryProgress], None]
Tell = Callable[[str], None]


@contextlib.contextmanager
def reporting(wanted: Report | bool | None) -> Iterator[Report | None]:
    """Yields what is called after every step: the caller's own function, or one that moves a bar."""
    if callable(wanted):
        yield wanted
        return
    with showing(wanted, "recovering") as move:

        def report(now: RecoveryProgress) -> None:
            move(now.step, now.steps, now.text)

        yield report


def tell(message: str) -> None:
    """What a user should hear, where nothing else was asked for."""
    print(f"spconvify: {message}", file=sys.stderr, flush=True)


class Reporter:
    """Times the steps of this process, and passes on what happens.

    Args:
        steps: of the whole run.
        done: steps that an earlier process did.
        report: the caller's function.
        log_dir: folder for VisualDL's curves.

    Raises:
        ArgumentError: if curves are asked for and VisualDL isn't installed.
    """

    def __init__(self, steps: int, done: int, report: Report | None, log_dir: Path | None):
        self._steps, self._done, self._report = steps, done, report
        self._writer: Any = None if log_dir is None else _writer(log_dir)
        self._start = time.monotonic()

    def step(
        self,
        done: int,
        loss: float,
        learning_rate: float,
        top1: float | None,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """A step is over."""
        per_step = (time.monotonic() - self._start) / max(1, done - self._done)
        if self._writer is not None:
            self._log(done, loss, learning_rate, top1)
            for name, value in (metrics or {}).items():
                self._writer.add_scalar(tag=f"recovery/{name}", step=done, value=value)
        if self._report is not None:
            left = per_step * (self._steps - done)
            now = RecoveryProgress(done, self._steps, loss, learning_rate, top1, left, metrics or {})
            self._report(now)

    def _log(self, done: int, loss: float, learning_rate: float, top1: float | None) -> None:
        self._writer.add_scalar(tag="recovery/loss", step=done, value=loss)
        self._writer.add_scalar(tag="recovery/learning_rate", step=done, value=learning_rate)
        if top1 is not None:
            self._writer.add_scalar(tag="recovery/top1", step=done, value=top1)

    def close(self) -> None:
        """Write what VisualDL still holds back."""
        if self._writer is not None:
            self._writer.close()


def _writer(log_dir: Path) -> Any:
    try:
        from visualdl import LogWriter
    except ImportError as error:
        raise ArgumentError(
            "a log_dir needs VisualDL, which isn't installed: pip install visualdl, or leave it out"
        ) from error
    return LogWriter(logdir=str(log_dir))
