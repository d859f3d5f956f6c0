"""Job: how a network is made slim and what is measured on it; and what its original is like."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import SpconvifyError
from spconvify.evaluation.agreement import check_output_kinds
from spconvify.evaluation.kinds import Kinds
from spconvify.network.batches import shape_of, taken
from spconvify.network.counting import Cost, cost
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.progress import Progress
from spconvify.report.comparison import (
    Comparison,
)
from spconvify.report.side import Side
from spconvify.surgery.convert import nothing_to_convert
from spconvify.surgery.planning import Plan
from spconvify.workflow.budget import Budget
from spconvify.workflow.judging import Judge as Figures
from spconvify.workflow.timing import Setting


@dataclass
class Slimmed:
    """What `spconvify.slim` gives: the converted network, its comparison with the original, the plan."""

    network: nn.Layer
    comparison: Comparison
    plan: Plan

    def __str__(self) -> str:
        return str(self.comparison)

    def _repr_html_(self) -> str:
        return self.comparison._repr_html_()


@dataclass
class Job:
    """How a planned network is made slim, and what is measured on it.

    `judge` has what else is measured, `kinds` what the outputs are, `settings` what is timed; `shape`
    is the input: (N, C, H, W), or a guess that the calibration images' own size replaces; or `Inputs`.
    On `others` latency is measured too. With a `budget` the plan is searched for. `refine` trains the
    network on the calibration images at the end; None does that with a budget, where it takes no more
    than some ten minutes. What a budget may change are the `chosen` sites, None for all. `judge_copies`
    compares both networks where the weights are only copied and there are no images.
    """

    name: str
    shape: Any
    guessed: bool = False
    init: str = DEFAULT_INIT
    calibration: CalibrationImages | None = None
    judge: Figures = field(default_factory=Figures)
    settings: Sequence[Setting] = ()
    tune: bool = False
    only_faster: bool = False
    seed: int = 0
    kinds: Kinds = None
    others: Sequence[Any] = ()
    budget: Budget | None = None
    refine: bool | None = None
    chosen: Collection[str] | None = None
    judge_copies: bool = True

    @property
    def refines(self) -> bool:
        """Whether the network is trained on the calibration images at the end, if that can be."""
        return self.budget is not None if self.refine is None else self.refine

    @property
    def on_labelled(self) -> bool:
        """Whether the agreement is that on the labelled images, as there are no others."""
        return self.judge.labelled is not None and self.calibration is None


def check_plan(name: str, plan: Plan) -> None:
    """Refuse a plan that converts nothing.

    Raises:
        SpconvifyError: says why it is empty.
    """
    if not plan.changes:
        raise SpconvifyError(f"{name}: {nothing_to_convert(plan)}")


@dataclass(frozen=True)
class Measured:
    """What is known of the original before anything is done to it."""

    shape: Any
    cost: Cost
    judged: Side


def measured(model: nn.Layer, job: Job, progress: Progress) -> Measured:
    """What the original costs, and how well it does.

    Raises:
        ArgumentError: if it doesn't run on its input or on the images.
    """
    shape = job.shape
    if job.calibration is not None and job.guessed:
        shape = (shape[0], *shape_of(job.calibration.first())[1:])
    found = cost(model, shape)  # says why if the network doesn't run on this
    labelled = job.judge.labelled
    if job.calibration is not None:
        check_output_kinds(model, job.calibration.first(2), job.kinds)
    elif labelled is not None:
        check_output_kinds(model, taken(labelled[0], slice(2)), job.kinds)
    return Measured(shape, found, job.judge.figures(model, "before", progress))
