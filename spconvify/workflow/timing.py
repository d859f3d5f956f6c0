"""The timings of a workflow: several engines, batches and numbers of threads, each of which may fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spconvify.engines import registry
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError, Option, SpconvifyError
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.progress import Progress
from spconvify.report.comparison import Comparison
from spconvify.surgery.planning import Plan


@dataclass(frozen=True)
class Setting:
    """What is timed in: an engine, CPU threads, a device; `batch` None takes that of the input."""

    engine: EngineName
    threads: int = 1
    batch: int | None = None
    device: str = "cpu"

    def shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """(N, C, H, W) with its own batch."""
        batch = input_shape[0] if self.batch is None else self.batch
        return (batch, *input_shape[1:])


def add_timings(
    comparison: Comparison,
    before: Any,
    after: Any,
    settings: Sequence[Setting],
    tune: bool,
    progress: Progress,
) -> None:
    """Time both networks in every setting; one that gives no latency is a line of the comparison."""
    from spconvify.deploy.timing import time_networks

    for setting in settings:
        shape = setting.shape(comparison.input_shape)
        where = setting.engine, setting.threads, setting.device
        try:
            timing = time_networks(before, after, shape, *where, tune=tune, progress=progress)
        except ArgumentError:
            raise
        except SpconvifyError as problem:  # the rest of the table is right
            comparison.failures.append(SpconvifyError(f"{registry.label(setting.engine)}: ", problem))
        else:
            comparison.add(timing)


def only_faster(
    name: str,
    model: Any,
    plan: Plan,
    shape: Sequence[int],
    settings: Sequence[Setting],
    progress: Progress,
) -> Plan:
    """The plan without the sites where no form is faster than the dense convolution.

    Raises:
        SpconvifyError: if none is left.
    """
    from spconvify.deploy.tune import choose_forms
    from spconvify.surgery.convert import carry_out

    trial, _ = carry_out(model, plan, init=DEFAULT_INIT, input_shape=shape)
    slower: set[str] = set()
    for setting in settings:
        where = setting.engine, setting.threads, setting.device
        slower.update(choose_forms(trial, setting.shape(shape), *where, progress=progress).slower)
    plan = plan.without(slower, "the dense convolution is faster here")
    if not plan.changes:
        raise SpconvifyError(
            f"{name}: no site is faster with SPConv here; leave out ", Option("only_faster", True)
        )
    return plan
