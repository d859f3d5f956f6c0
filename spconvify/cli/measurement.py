"""Measurement: the options that say what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from spconvify.cli.inputs import Given, parse_inputs
from spconvify.cli.options import ALL_ENGINES
from spconvify.cli.paddle_setup import load_paddle
from spconvify.cli.values import parse_batches, parse_threads
from spconvify.engines import check_engine, skipped_engines, usable_engines
from spconvify.errors import ArgumentError, EngineError

if TYPE_CHECKING:
    from spconvify.workflow.timing import Setting


@dataclass
class Measurement:
    """What to measure: a grid of engines, batches and threads; `engine` None for no latency."""

    input: Sequence[str] | None
    batch: str | None
    engine: str | None
    threads: str = "1"
    device: str = "cpu"
    tune: bool = False
    only_faster: bool = False

    def check(self) -> None:
        """Find wrong values before Paddle is loaded.

        Raises:
            ArgumentError: names the value and what would do.
        """
        if len(self.given.sizes) > 1 and self.engine is None:
            raise ArgumentError(
                "several sizes in --input are for latency, and nothing is timed; give one"
            )
        parse_threads(self.threads)
        if self.device != "cpu":
            load_paddle()  # which is asked for its GPUs
        if self.engine != ALL_ENGINES:
            for engine in self.engines:
                check_engine(engine, self.device)
        if self.only_faster and self.engine is None:
            raise ArgumentError("--only-faster measures: it doesn't go with --no-latency")

    def check_one_setting(self, what: str) -> None:
        """Refuse several engines, sizes, batches or threads, where there is room for one.

        Raises:
            ArgumentError: says what to name.
        """
        # Without `settings`, which load Paddle.
        counts = [self.engines, self.batches, parse_threads(self.threads), self.given.sizes]
        if self.engine == ALL_ENGINES or (self.engine and max(map(len, counts)) > 1):
            raise ArgumentError(
                f"{what} has room for one latency: name one --engine, and one --input, --batch and "
                "--threads"
            )

    @property
    def given(self) -> Given:
        """What --input says."""
        return parse_inputs(self.input, self.batches[0])

    @property
    def batches(self) -> Sequence[int | None]:
        """The batches that were asked for; [None] if none was."""
        return [None] if self.batch is None else parse_batches(self.batch)

    @property
    def engines(self) -> list[str]:
        """Those that "all" means, or those that were named, each once."""
        if self.engine is None:
            return []
        if self.engine == ALL_ENGINES:
            return usable_engines(self.device)
        return list(dict.fromkeys(name.strip() for name in self.engine.split(",")))

    @property
    def skipped(self) -> dict[str, EngineError]:
        """What "all" doesn't mean, and why."""
        return skipped_engines(self.device) if self.engine == ALL_ENGINES else {}

    @property
    def settings(self) -> list[Setting]:
        """Every engine, batch and number of threads to time in."""
        from spconvify.workflow.timing import Setting

        return [
            Setting(engine, threads, batch, self.device)
            for engine in self.engines
            for batch in self.batches
            for threads in parse_threads(self.threads)
        ]
