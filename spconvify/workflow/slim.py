"""slim: from a trained network to a slim one and what that cost, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
from spconvify.settings import check_seed
from spconvify.surgery.convert import carry_out, nothing_to_convert
from spconvify.surgery.copies_judged import warn_of_copies
from spconvify.surgery.planning import Plan, check_is_plan
from spconvify.surgery.planning import plan as make_plan
from spconvify.surgery.reach import reached_part
from spconvify.surgery.sites import check_model
from spconvify.workflow.judging import Judge, images_in_batches
from spconvify.workflow.timing import Setting, add_timings, only_faster


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
    if plan is None:
        plan = make_plan(
            model, ratio, groups, fusion=fusion, include=include, exclude=exclude, ratios=ratios
        )
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
    )
    with showing(progress, "converting") as report:
        own = faithful_copy(model, Inputs.of(shape, model))
        return carry_out_job(own, plan, job, report)


def check_plan(name: str, plan: Plan) -> None:
    """Refuse a plan that converts nothing.

    Raises:
        SpconvifyError: says why it is empty.
    """
    if not plan.changes:
        raise SpconvifyError(f"{name}: {nothing_to_convert(plan)}")


def carry_out_job(model: nn.Layer, plan: Plan, job: Job, progress: Progress) -> Slimmed:
    """`slim` for a ready plan; `model` itself is converted, which saves the memory of a second one.

    Raises:
        SpconvifyError: if nothing is there to convert, or anything on the way fails.
    """
    check_plan(job.name, plan)
    inits.check(job.init, job.calibration)
    shape = job.shape
    if job.only_faster:
        plan = only_faster(job.name, model, plan, shape, job.settings, progress)
    if job.calibration is not None and job.guessed:
        shape = (shape[0], *shape_of(job.calibration.first())[1:])
    cost_before = cost(model, shape)  # says why if the network doesn't run on this
    plan = reached_part(model, plan, shape, job.calibration)
    check_plan(job.name, plan)
    sites = site_table(model, plan)
    labelled = job.judge.labelled
    on_labelled = labelled is not None and job.calibration is None
    if job.calibration is not None:
        check_output_kinds(model, job.calibration.first(2), job.kinds)
    elif labelled is not None:
        check_output_kinds(model, taken(labelled[0], slice(2)), job.kinds)
    judged_before = job.judge.figures(model, "before", progress)
    # Only a latency, and labelled images without others, need the original again: else one is enough.
    before = faithful_copy(model, Inputs.of(shape, model)) if job.settings or on_labelled else None
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
    comparison = compared(job.name, shape, cost_before, after, sites, common_settings(plan))
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
