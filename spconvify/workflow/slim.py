"""slim: from a trained network to a slim one and what that cost, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.evaluation.agreement import agreement, check_output_kinds
from spconvify.evaluation.kinds import Kinds, check_kinds
from spconvify.network.batches import shape_of, taken
from spconvify.network.copying import faithful_copy
from spconvify.network.counting import cost
from spconvify.network.examples import form_of, given_inputs
from spconvify.network.inputs import Inputs
from spconvify.operators import inits
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.operators.spconv.settings import DEFAULT_FUSION, DEFAULT_GROUPS, DEFAULT_RATIO
from spconvify.progress import Progress, Wanted, showing
from spconvify.report.comparison import Comparison, common_settings, compared, site_table
from spconvify.report.side import Side
from spconvify.settings import check_seed
from spconvify.surgery.convert import carry_out, nothing_to_convert
from spconvify.surgery.copies_judged import warn_of_copies
from spconvify.surgery.planning import Plan, check_is_plan
from spconvify.surgery.planning import plan as make_plan
from spconvify.surgery.reach import reached_part
from spconvify.surgery.sites import check_model
from spconvify.workflow.budget import Budget
from spconvify.workflow.judging import Judge, images_in_batches
from spconvify.workflow.timing import Setting, add_timings, only_faster
from spconvify.workflow.within import BudgetSearch


@dataclass
class Slimmed:
    """What `slim` gives: the converted network, how it compares with the original, and the plan."""

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
    On `others` latency is measured too. With a `budget` the plan is searched for.
    On `others` latency is measured too. `judge_copies` compares both networks where the weights are only
    copied and there are no images.
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


def slim(
    model: nn.Layer,
    ratio: float = DEFAULT_RATIO,
    groups: int = DEFAULT_GROUPS,
    *,
    fusion: str = DEFAULT_FUSION,
    init: str | None = None,
    calibration: Iterable[Any] | None = None,
    eval_data: tuple[Any, Any] | Callable[[nn.Layer], Any] | None = None,
    kinds: Kinds = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
    ratios: Mapping[str, float] | None = None,
    plan: Plan | None = None,
    input_shape: Any = None,
    example: Any = None,
    engine: EngineName | None = None,
    threads: int = 1,
    device: str = "cpu",
    tune: bool = False,
    only_faster: bool = False,
    target_macs: float | None = None,
    target_speedup: float | None = None,
    max_drop: float | None = None,
    allow: Iterable[str] | str | None = None,
    refine: bool | None = None,
    seed: int = 0,
    name: str | None = None,
    progress: Wanted = None,
) -> Slimmed:
    """Convert a trained network and say what that gives: cost, agreement, accuracy, latency.

    It is what ``spconvify convert`` does, without files; `spconvify.convert` only converts. The model
    comes back unchanged.

    Args:
        model: the network; its input is (N, C, H, W), or (N, H, W, C) for NHWC networks.
        ratio: share of the input channels that keep a 3x3, in (0, 1).
        groups: groups of that 3x3.
        fusion: "sum" (one linear layer; faster to deploy) or "gap" (the paper's gate).
        init: "lstsq", "copy" or "none", see `spconvify.convert`; by default "lstsq" where there are
            calibration images, else "copy".
        calibration: image batches for "lstsq", as `spconvify.convert` takes them. A quarter is left out
            of the fit, and the agreement of both networks on it is in the comparison.
        eval_data: (images, labels) for top-1 accuracy, before and after; images as for `calibration`. Or
            your own metric: a function that is called with each network, in eval mode, and returns a
            number, or several in a dictionary by their names.
        kinds: what the outputs are, where the agreement judges them wrongly: "classes" (N, K), "steps"
            (N, T, K), "map" (of classes), "mask", "image", "values" or "labels", for all outputs or in a
            dictionary by their names.
        include: globs over structured names; only what matches is converted.
        exclude: globs; what matches is left alone.
        ratios: glob -> ratio, for some of the sites.
        plan: a ready plan, which replaces `ratio`, `groups`, `fusion`, `include`, `exclude`, `ratios`.
        input_shape: (N, C, H, W) to count and to time with, or what `spconvify.cost` takes in its place;
            needed where there are no images, which else say it.
        example: an input with its values, for the same and in place of it: a tensor or an array, or a
            tuple or dictionary of such, as the network's forward takes them.
        engine: what times both networks; None leaves the latency out.
        threads: CPU threads of the engine.
        device: "cpu" or "gpu:0".
        tune: measure which form of each layer is fastest first.
        only_faster: leave the sites alone where no form is faster than the dense convolution.
        target_macs: a budget in place of `ratio` and what goes with it: the share of the multiply-
            accumulates that may be left, in (0, 1). What becomes of every layer is searched for.
        target_speedup: the same as a factor, measured in `engine`.
        max_drop: the same as points of top-1 accuracy (of agreement, where `eval_data` has no labels)
            that may be lost, before `refine`: it gives the network with the fewest MACs, or the fastest
            in `engine`.
        allow: what a budget may do to layers: "spconv", "prune" (narrow inner channels), or both.
        refine: train the network within a budget on the calibration images at the end; None where that
            takes no more than some ten minutes.
        seed: of the fit's sample, and of the images left out.
        name: what to call the network; its class by default.
        progress: called with (done, total, text); None shows a bar on a terminal and in a notebook, and
            False nothing.

    Raises:
        ArgumentError: for a setting that can't be, images or labels that don't fit, or an input that the
            network doesn't run on.
        SpconvifyError: if nothing is there to convert, or nothing would be faster.
        ConversionError: if a layer can't be replaced safely.
    """
    check_model(model)
    check_seed(seed)
    if only_faster and engine is None:
        raise ArgumentError("only_faster measures: give the engine too")
    budget = Budget.of(target_macs, target_speedup, max_drop, allow, refine)
    if budget is not None:
        _check_budget(budget, plan, calibration, init, engine)
    elif refine is not None:
        raise ArgumentError("refine goes with a budget, as target_macs; `recover` trains any network")
    elif plan is None:
        plan = make_plan(
            model, ratio, groups, fusion=fusion, include=include, exclude=exclude, ratios=ratios
        )
    if budget is None:
        check_is_plan(plan)
    given = input_shape if example is None else given_inputs(input_shape, example, model)
    form = form_of(given, model)
    images = None if calibration is None else CalibrationImages(calibration, model, form)
    judge = Judge.of(eval_data, model, form)
    check_kinds(kinds)
    if kinds is not None and images is None and judge.labelled is None:
        raise ArgumentError("kinds say how outputs are compared: give images for it, as calibration=")
    shape = _shape(given, images, judge.labelled) if form is None else form.brief
    job = Job(
        name or type(model).__name__,
        shape,
        init=init or (DEFAULT_INIT if images is None else "lstsq"),
        calibration=images,
        judge=judge,
        settings=() if engine is None else [Setting(engine, threads, None, device)],
        tune=tune,
        only_faster=only_faster,
        seed=seed,
        kinds=kinds,
        budget=budget,
    )
    with showing(progress, "converting") as report:
        own = faithful_copy(model, Inputs.of(shape, model))
        return carry_out_job(own, plan, job, report)


def _check_budget(
    budget: Budget, plan: Plan | None, calibration: Any, init: str | None, engine: Any
) -> None:
    """Refuse what a budget can't go with, or goes without.

    Raises:
        ArgumentError: names it.
    """
    if plan is not None:
        raise ArgumentError("a plan says what becomes of every layer: leave out it or the budget")
    if calibration is None:
        raise ArgumentError(f"{budget.text} is searched for on images: give calibration=")
    if init not in (None, "lstsq"):
        raise ArgumentError(f"a budget fits layers to images; init {init!r} doesn't")
    if budget.speedup is not None and engine is None:
        raise ArgumentError("a speed-up is measured: give the engine too")


def check_plan(name: str, plan: Plan) -> None:
    """Refuse a plan that converts nothing.

    Raises:
        SpconvifyError: says why it is empty.
    """
    if not plan.changes:
        raise SpconvifyError(f"{name}: {nothing_to_convert(plan)}")


def carry_out_job(model: nn.Layer, plan: Plan | None, job: Job, progress: Progress) -> Slimmed:
    """`slim` for a ready plan, or with None for the job's budget; `model` itself is converted, which
    saves the memory of a second one.

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
    judged_before = job.judge.figures(model, "before", progress)
    search = None
    notes: list[str] = []
    if plan is None:
        assert job.budget is not None, "else there is a plan"
        assert job.calibration is not None, "a budget has images"
        setting = job.settings[0] if job.settings else None
        search = BudgetSearch(
            job.name,
            model,
            cost_before.macs,
            shape,
            job.calibration,
            job.budget,
            setting,
            job.seed,
            progress,
        )
        if search.recalled:
            progress(0, 1, f"going on with {search.recalled} results of an earlier search")
        lost = partial(_lost, model, judged_before, job, progress)
        found = search.find(lost)
        plan, notes = found.plan, found.notes
    plan = reached_part(model, plan, shape, job.calibration)
    check_plan(job.name, plan)
    sites = site_table(model, plan)
    labelled = job.judge.labelled
    on_labelled = labelled is not None and job.calibration is None
    if job.calibration is not None:
        check_output_kinds(model, job.calibration.first(2), job.kinds)
    elif labelled is not None:
        check_output_kinds(model, taken(labelled[0], slice(2)), job.kinds)
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
    if search is not None and before is not None and job.calibration is not None:
        notes += search.refine(before, after)
        left_out = job.calibration.split(job.seed)[1]
        assert left_out is not None, "the search has left some out"
        report.agreement = agreement(before, after, left_out, "left out of the fit", job.kinds)
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


def _lost(original: nn.Layer, before: Side, job: Job, progress: Progress, network: nn.Layer) -> float:
    """Points of accuracy that a network loses; where there are no labels, of agreement."""
    if before.top1 is not None:
        after = job.judge.figures(network, "after", progress).top1
        assert after is not None, "it was there before"
        return before.top1 - after
    assert job.calibration is not None, "a budget has images"
    left_out = job.calibration.split(job.seed)[1]
    found = agreement(original, network, left_out or job.calibration, "left out", job.kinds)
    return found.points_lost


def _shape(given: Any, images: CalibrationImages | None, labelled: Any) -> Any:
    """The input: (N, C, H, W), or `Inputs` of one image."""
    if given is not None:
        return tuple(int(size) for size in given)
    if images is not None:
        return images.beside or (1, *images.first().shape[1:])
    if labelled is not None:
        one = taken(labelled[0], slice(1))
        return one if isinstance(one, Inputs) else one.shape
    raise ArgumentError("what a network costs depends on its input: give input_shape=(N, C, H, W)")
