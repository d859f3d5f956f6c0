"""The main line for one network: searched for or planned, carried out, fitted, judged and timed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import SpconvifyError
from spconvify.evaluation.agreement import agreement
from spconvify.network.copying import faithful_copy
from spconvify.network.inputs import Inputs
from spconvify.operators import inits
from spconvify.progress import Progress
from spconvify.report.comparison import common_settings, compared
from spconvify.report.sites import SiteComparison, site_table
from spconvify.surgery.convert import carry_out, warn_of
from spconvify.surgery.copies_judged import warn_of_copies
from spconvify.surgery.fit_report import FitReport
from spconvify.surgery.planning import Plan
from spconvify.surgery.reach import reached_part
from spconvify.workflow.finalists import Finalist, nearest
from spconvify.workflow.job import Job, Measured, Slimmed, check_plan, measured
from spconvify.workflow.judging import images_in_batches
from spconvify.workflow.refining import refined
from spconvify.workflow.timing import add_timings, only_faster
from spconvify.workflow.within import BudgetSearch, Within


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
    with search_for(model, job, original, progress) as search:
        found = search.find(partial(lost, model, original, search.left_out, job, progress))
        return carry_out_best(model, found, job, original, progress)


def carry_out_plan(
    model: nn.Layer, plan: Plan, job: Job, original: Measured, progress: Progress
) -> Slimmed:
    """Convert `model` itself by a plan, and compare it with the original.

    Raises:
        SpconvifyError: if nothing is there to convert, or anything on the way fails.
    """
    # Only a latency, a refinement, and labelled images without others, need the original again: else
    # one is enough.
    again = job.settings or job.on_labelled or job.refines
    before = faithful_copy(model, Inputs.of(original.shape, model)) if again else None
    made = _made(model, plan, job, original, progress)
    if before is not None and job.refines and job.calibration is not None:
        _refine(made, before, job, original, progress)
    _warn(made, job)
    return _compared(made, before, job, original, progress)


def carry_out_best(
    model: nn.Layer,
    plans: Sequence[Within],
    job: Job,
    original: Measured,
    progress: Progress,
) -> Slimmed:
    """Carry out each of the plans of a search on a copy of `model`, and go on with the best network.

    Raises:
        SpconvifyError: as `carry_out_plan`.
    """
    made, told = [], []
    for within in plans:
        own = faithful_copy(model, Inputs.of(original.shape, model))
        with warnings.catch_warnings(record=True) as caught:  # of those that lose nobody wants to hear
            warnings.simplefilter("always")
            made.append(_made(own, within.plan, job, original, progress, within.notes))
        told.append(caught)
    assert job.calibration is not None, "a budget has images"
    finalists = [Finalist(one.network, within.distance) for one, within in zip(made, plans)]
    images, macs = job.calibration, original.cost.macs
    place = nearest(model, finalists, images, macs, job.refine, job.seed, progress)
    best = made[place]
    for one in told[place]:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if job.refines:
        _refine(best, model, job, original, progress)
    _warn(best, job)
    return _compared(best, model, job, original, progress)


@dataclass
class _Made:
    """A converted network, not yet compared."""

    network: nn.Layer
    plan: Plan
    sites: list[SiteComparison]
    report: FitReport
    notes: list[str]


def _made(
    model: nn.Layer,
    plan: Plan,
    job: Job,
    original: Measured,
    progress: Progress,
    notes: Sequence[str] = (),
) -> _Made:
    """Convert `model` itself, and fit it."""
    plan = reached_part(model, plan, original.shape, job.calibration)
    check_plan(job.name, plan)
    sites = site_table(model, plan)
    network, report = carry_out(
        model,
        plan,
        init=job.init,
        calibration=job.calibration,
        inplace=True,
        input_shape=original.shape,
        seed=job.seed,
        progress=progress,
        kinds=job.kinds,
        judge_copies=job.judge_copies and not job.on_labelled,
        warns=False,
    )
    return _Made(network, plan, sites, report, list(notes))


def _refine(made: _Made, before: nn.Layer, job: Job, original: Measured, progress: Progress) -> None:
    """Train a fitted network to be like `before`, if that is wanted."""
    assert job.calibration is not None, "a refinement has images"
    images, macs = job.calibration, original.cost.macs
    made.notes += refined(before, made.network, images, macs, job.refine, job.seed, progress)
    left_out = images.split(job.seed)[1]
    if left_out is not None:
        where = "left out of the fit"
        made.report.agreement = agreement(before, made.network, left_out, where, job.kinds)


def _warn(made: _Made, job: Job) -> None:
    """Say aloud how far a network is from the original that was fitted, as it is at the end."""
    if inits.find(job.init).needs_images and made.report.agreement is not None:
        warn_of(made.report.agreement)


def _compared(
    made: _Made, before: nn.Layer | None, job: Job, original: Measured, progress: Progress
) -> Slimmed:
    """Compare a converted network with the original, and time both."""
    shape, after, labelled = original.shape, made.network, job.judge.labelled
    settings = common_settings(made.plan)
    comparison = compared(job.name, shape, original.cost, after, made.sites, settings)
    comparison.notes += made.notes
    comparison.add_fit(made.report)
    if job.on_labelled and labelled is not None and before is not None:
        batches = CalibrationImages(images_in_batches(labelled[0]))
        comparison.agreement = agreement(before, after, batches, job.judge.labelled_from, job.kinds)
        if inits.find(job.init).keeps_weights:
            warn_of_copies(comparison.agreement)
    comparison.before.take(original.judged)
    comparison.after.take(job.judge.figures(after, "after", progress))
    add_timings(comparison, before, after, [shape, *job.others], job.settings, job.tune, progress)
    return Slimmed(after, comparison, made.plan)


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
    found = agreement(model, network, left_out, "left out", job.kinds)
    if found.unknown:
        raise SpconvifyError(
            f"{job.name}: nothing tells how much is lost: {'; '.join(found.figures)}; give labelled "
            "images that are judged, or ask for a share of the MACs"
        )
    return found.points_lost
