"""The main line for one network: searched for or planned, carried out, fitted, judged and timed."""

from __future__ import annotations

from collections.abc import Sequence
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
from spconvify.network.counting import cost
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
    On `others` latency is measured too. With a `budget` the plan is searched for. `judge_copies`
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
    judge_copies: bool = True


def check_plan(name: str, plan: Plan) -> None:
    """Refuse a plan that converts nothing.

    Raises:
        SpconvifyError: says why it is empty.
    """
    if not plan.changes:
        raise SpconvifyError(f"{name}: {nothing_to_convert(plan)}")


def carry_out_job(model: nn.Layer, plan: Plan | None, job: Job, progress: Progress) -> Slimmed:
    """The main line for a ready plan, or with None for the job's budget.

    `model` itself is converted, which saves the memory of a second one.

    Raises:
        SpconvifyError: if nothing is there to convert, or anything on the way fails.
    """
    if plan is not None:
        check_plan(job.name, plan)
    inits.check(job.init, job.calibration)
    shape = job.shape
    if job.only_faster and plan is not None:
        plan = only_faster(job.name, model, plan, shape, job.settings, progress)
    if job.calibration is not None and job.guessed:
        shape = (shape[0], *shape_of(job.calibration.first())[1:])
    cost_before = cost(model, shape)  # says why if the network doesn't run on this
    labelled = job.judge.labelled
    on_labelled = labelled is not None and job.calibration is None
    if job.calibration is not None:
        check_output_kinds(model, job.calibration.first(2), job.kinds)
    elif labelled is not None:
        check_output_kinds(model, taken(labelled[0], slice(2)), job.kinds)
    judged_before = job.judge.figures(model, "before", progress)
    search, notes = None, list[str]()
    if plan is None:
        search = _search_of(model, cost_before.macs, shape, job, progress)
        found = search.find(partial(_lost, model, judged_before, search.left_out, job, progress))
        plan, notes = found.plan, found.notes
    plan = reached_part(model, plan, shape, job.calibration)
    check_plan(job.name, plan)
    sites = site_table(model, plan)
    # Only a latency, and labelled images without others, need the original again: else one is enough.
    again = job.settings or on_labelled or search is not None
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
    if search is not None and before is not None:
        notes += search.refine(before, after)
        report.agreement = agreement(before, after, search.left_out, "left out of the fit", job.kinds)
        search.finish()
    comparison = compared(job.name, shape, cost_before, after, sites, common_settings(plan))
    comparison.notes += notes
    comparison.add_fit(report)
    if on_labelled and labelled is not None and before is not None:
        batches = CalibrationImages(images_in_batches(labelled[0]))
        comparison.agreement = agreement(before, after, batches, job.judge.labelled_from, job.kinds)
        if inits.find(job.init).keeps_weights:
            warn_of_copies(comparison.agreement)
    comparison.before.take(judged_before)
    comparison.after.take(job.judge.figures(after, "after", progress))
    add_timings(comparison, before, after, [shape, *job.others], job.settings, job.tune, progress)
    return Slimmed(after, comparison, plan)


def _search_of(model: nn.Layer, macs: int, shape: Any, job: Job, progress: Progress) -> BudgetSearch:
    """The search for a job's budget."""
    assert job.budget is not None, "else there is a plan"
    assert job.calibration is not None, "a budget has images"
    setting = job.settings[0] if job.settings else None
    search = BudgetSearch(
        job.name, model, macs, shape, job.calibration, job.budget, setting, job.seed, progress
    )
    if search.recalled:
        progress(0, 1, f"going on with {search.recalled} results of an earlier search")
    return search


def _lost(
    original: nn.Layer,
    before: Side,
    left_out: CalibrationImages,
    job: Job,
    progress: Progress,
    network: nn.Layer,
) -> float:
    """Points of accuracy that a network loses; where there are no labels, of agreement."""
    if before.top1 is not None:
        after = job.judge.figures(network, "after", progress).top1
        assert after is not None, "it was there before"
        return before.top1 - after
    return agreement(original, network, left_out, "left out", job.kinds).points_lost
