"""The main line for one network: searched for or planned, carried out, fitted, judged and timed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import SpconvifyError
from spconvify.evaluation.agreement import agreement, check_output_kinds
from spconvify.evaluation.kinds import Kinds
from spconvify.network.batches import shape_of, taken
from spconvify.network.copying import faithful_copy
from spconvify.network.counting import Cost, cost
from spconvify.network.inputs import Inputs
from spconvify.operators import inits
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.progress import Progress
from spconvify.report.comparison import Comparison, common_settings, compared, site_table
from spconvify.report.side import Side
from spconvify.surgery.convert import carry_out, nothing_to_convert
from spconvify.surgery.copies_judged import warn_of_copies
from spconvify.surgery.planning import Plan
from spconvify.surgery.reach import reached_part
from spconvify.workflow.budget import Budget
from spconvify.workflow.judging import Judge, images_in_batches
from spconvify.workflow.refining import refined
from spconvify.workflow.timing import Setting, add_timings, only_faster
from spconvify.workflow.within import BudgetSearch


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
    judge: Judge = field(default_factory=Judge)
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


def carry_out_job(model: nn.Layer, plan: Plan | None, job: Job, progress: Progress) -> Slimmed:
    """The main line for a ready plan, or with None for the job's budget.

    `model` itself is converted, which saves the memory of a second one.

    Raises:
        SpconvifyError: if nothing is there to convert, or anything on the way fails.
    """
    if plan is not None:
        check_plan(job.name, plan)
    inits.check(job.init, job.calibration)
    if job.only_faster and plan is not None:
        plan = only_faster(job.name, model, plan, job.shape, job.settings, progress)
    original = measured(model, job, progress)
    if plan is not None:
        return carry_out_plan(model, plan, job, original, progress)
    search = search_for(model, job, original, progress)
    with search:
        found = search.find(partial(lost, model, original, search.left_out, job, progress))
        return carry_out_plan(model, found.plan, job, original, progress, found.notes)


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


def carry_out_plan(
    model: nn.Layer,
    plan: Plan,
    job: Job,
    original: Measured,
    progress: Progress,
    notes: Sequence[str] = (),
) -> Slimmed:
    """Convert `model` itself by a plan, and compare it with the original.

    `notes` say how the plan was found.

    Raises:
        SpconvifyError: if nothing is there to convert, or anything on the way fails.
    """
    shape, labelled = original.shape, job.judge.labelled
    on_labelled = labelled is not None and job.calibration is None
    plan = reached_part(model, plan, shape, job.calibration)
    check_plan(job.name, plan)
    sites = site_table(model, plan)
    # Only a latency, a refinement, and labelled images without others, need the original again: else
    # one is enough.
    again = job.settings or on_labelled or job.refines
    before = faithful_copy(model, Inputs.of(shape, model)) if again else None
    after, report = carry_out(
        model,
        plan,
        init=job.init,
        calibration=job.calibration,
        inplace=True,
        input_shape=shape,
        seed=job.seed,
        progress=progress,
        kinds=job.kinds,
        judge_copies=job.judge_copies and not on_labelled,
    )
    said = list(notes)
    if job.refines and before is not None and job.calibration is not None:
        images, macs = job.calibration, original.cost.macs
        said += refined(before, after, images, macs, job.refine, job.seed, progress)
        left_out = images.split(job.seed)[1]
        if left_out is not None:
            report.agreement = agreement(before, after, left_out, "left out of the fit", job.kinds)
    comparison = compared(job.name, shape, original.cost, after, sites, common_settings(plan))
    comparison.notes += said
    comparison.add_fit(report)
    if on_labelled and labelled is not None and before is not None:
        batches = CalibrationImages(images_in_batches(labelled[0]))
        comparison.agreement = agreement(before, after, batches, job.judge.labelled_from, job.kinds)
        if inits.find(job.init).keeps_weights:
            warn_of_copies(comparison.agreement)
    comparison.before.take(original.judged)
    comparison.after.take(job.judge.figures(after, "after", progress))
    add_timings(comparison, before, after, [shape, *job.others], job.settings, job.tune, progress)
    return Slimmed(after, comparison, plan)


def search_for(model: nn.Layer, job: Job, original: Measured, progress: Progress) -> BudgetSearch:
    """The search for a job's budget."""
    assert job.budget is not None, "else there is a plan"
    assert job.calibration is not None, "a budget has images"
    search = BudgetSearch(
        job.name,
        model,
        original.cost.macs,
        original.shape,
        job.calibration,
        job.budget,
        job.settings[0] if job.settings else None,
        job.seed,
        progress,
        job.chosen,
    )
    if search.recalled:
        progress(0, 1, f"going on with {search.recalled} results of an earlier search")
    return search


def lost(
    model: nn.Layer,
    original: Measured,
    left_out: CalibrationImages,
    job: Job,
    progress: Progress,
    network: nn.Layer,
) -> float:
    """Points of accuracy that a network loses; where there are no labels, of agreement."""
    before = original.judged.top1
    if before is not None:
        after = job.judge.figures(network, "after", progress).top1
        assert after is not None, "it was there before"
        return before - after
    return agreement(model, network, left_out, "left out", job.kinds).points_lost
