"""The timings of a workflow: several engines, batches and numbers of threads, each of which may fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from spconvify.engines import registry
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError, Option, SpconvifyError
from spconvify.network.batches import shape_of
from spconvify.network.inputs import Inputs
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

    def inputs(self, given: Any) -> Any:
        """What the networks are run on, a shape or `Inputs`, with its own batch."""
        if self.batch is None:
            return given
        return given.with_batch(self.batch) if isinstance(given, Inputs) else (self.batch, *given[1:])


def add_timings(
    comparison: Comparison,
    before: Any,
    after: Any,
    inputs: Sequence[Any],
    settings: Sequence[Setting],
    tune: bool,
    progress: Progress,
) -> None:
    """Time both networks on every input in every setting.

    `inputs` are shapes or `Inputs`. A setting that gives no latency is a line of the comparison.
    """
    from spconvify.deploy.timing import time_networks

    for given, setting in product(inputs, settings):
        where = setting.engine, setting.threads, setting.device
        try:
            timing = time_networks(
                before, after, setting.inputs(given), *where, tune=tune, progress=progress
            )
        except ArgumentError:
            raise
        except SpconvifyError as problem:  # the rest of the table is right
            at = "" if len(inputs) < 2 else f" at {_text(given)}"
            label = registry.label(setting.engine)
            comparison.failures.append(SpconvifyError(f"{label}{at}: ", problem))
        else:
            comparison.add(timing)


def _text(given: Any) -> str:
    sizes = shape_of(given) if isinstance(given, Inputs) else given
    return "x".join(map(str, sizes))


def only_faster(
    name: str,
    model: Any,
    plan: Plan,
    inputs: Any,
    settings: Sequence[Setting],
    progress: Progress,
) -> Plan:
    """The plan without the sites where no form is faster than the dense convolution.

    Raises:
        SpconvifyError: if none is left.
    """
    from spconvify.deploy.tune import choose_forms
    from spconvify.surgery.convert import carry_out

    trial, _ = carry_out(model, plan, init=DEFAULT_INIT, input_shape=inputs, judge_copies=False)
    slower: set[str] = set()
    for setting in settings:
        where = setting.engine, setting.threads, setting.device
        slower.update(choose_forms(trial, setting.inputs(inputs), *where, progress=progress).slower)
    plan = plan.without(slower, "the dense convolution is faster here")
    if not plan.changes:
        raise SpconvifyError(
            f"{name}: no site is faster with SPConv here; leave out ", Option("only_faster", True)
        )
    return plan
