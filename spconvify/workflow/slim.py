"""slim: from a trained network to a slim one and what that cost, in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError
from spconvify.evaluation.kinds import Kinds, check_kinds
from spconvify.network.batches import taken
from spconvify.network.copying import faithful_copy
from spconvify.network.examples import form_of, given_inputs
from spconvify.network.inputs import Inputs
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.operators.spconv.settings import DEFAULT_FUSION, DEFAULT_GROUPS, DEFAULT_RATIO
from spconvify.progress import Wanted, showing
from spconvify.settings import check_seed
from spconvify.surgery.globs import chosen_sites
from spconvify.surgery.planning import Plan, check_is_plan
from spconvify.surgery.planning import plan as make_plan
from spconvify.surgery.sites import check_model
from spconvify.workflow.budget import Budget
from spconvify.workflow.job import Job, Slimmed
from spconvify.workflow.judging import Judge
from spconvify.workflow.main_line import carry_out_job
from spconvify.workflow.timing import Setting


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
        refine: train the network on the calibration images at the end, without labels; None does that
            with a budget, where it takes no more than some ten minutes.
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
    if only_faster and engine is None:
        raise ArgumentError("only_faster measures: give the engine too")
    budget = Budget.of(target_macs, target_speedup, max_drop, allow)
    if budget is not None:
        beside = {"plan": plan, "ratios": ratios, "only_faster": only_faster or None}
        check_budget(budget, beside, calibration, init, engine)
    elif plan is None:
        plan = make_plan(
            model, ratio, groups, fusion=fusion, include=include, exclude=exclude, ratios=ratios
        )
    if budget is None:
        check_is_plan(plan)
    job = job_of(
        model,
        name=name,
        init=init,
        calibration=calibration,
        eval_data=eval_data,
        kinds=kinds,
        include=include,
        exclude=exclude,
        input_shape=input_shape,
        example=example,
        engine=engine,
        threads=threads,
        device=device,
        tune=tune,
        only_faster=only_faster,
        seed=seed,
        budget=budget,
        refine=refine,
    )
    with showing(progress, "converting") as report:
        own = faithful_copy(model, Inputs.of(job.shape, model))
        return carry_out_job(own, plan, job, report)


def job_of(
    model: nn.Layer,
    *,
    name: str | None,
    calibration: Any,
    eval_data: Any,
    kinds: Kinds,
    input_shape: Any,
    example: Any,
    engine: EngineName | None,
    threads: int,
    device: str,
    seed: int,
    budget: Budget | None,
    refine: bool | None,
    init: str | None = None,
    include: Any = None,
    exclude: Any = None,
    tune: bool = False,
    only_faster: bool = False,
) -> Job:
    """What `slim` and `frontier` were called with, as a job.

    Raises:
        ArgumentError: for a setting that can't be, or images or labels that don't fit.
    """
    check_model(model)
    check_seed(seed)
    if refine and calibration is None:
        raise ArgumentError("refine trains on the calibration images: give calibration= too")
    given = input_shape if example is None else given_inputs(input_shape, example, model)
    form = form_of(given, model)
    images = None if calibration is None else CalibrationImages(calibration, model, form)
    judge = Judge.of(eval_data, model, form)
    check_kinds(kinds)
    if kinds is not None and images is None and judge.labelled is None:
        raise ArgumentError("kinds say how outputs are compared: give images for it, as calibration=")
    return Job(
        name or type(model).__name__,
        _shape(given, images, judge.labelled) if form is None else form.brief,
        init=init or (DEFAULT_INIT if images is None else "lstsq"),
        calibration=images,
        judge=judge,
        settings=() if engine is None else [Setting(engine, threads, None, device)],
        tune=tune,
        only_faster=only_faster,
        seed=seed,
        kinds=kinds,
        budget=budget,
        refine=refine,
        chosen=None if budget is None else chosen_sites(model, include, exclude),
    )


def check_budget(
    budget: Budget, beside: Mapping[str, Any], calibration: Any, init: str | None, engine: Any
) -> None:
    """Refuse what a budget can't go with, or goes without.

    Raises:
        ArgumentError: names it.
    """
    for name, value in beside.items():
        if value is not None:
            raise ArgumentError(
                f"{name} does nothing here, since a budget decides what becomes of every layer: leave "
                "out it or the budget"
            )
    if calibration is None:
        raise ArgumentError(f"{budget.text} is searched for on images: give calibration=")
    if init not in (None, "lstsq"):
        raise ArgumentError(f"a budget fits layers to images; init {init!r} doesn't")
    if budget.speedup is not None and engine is None:
        raise ArgumentError("a speed-up is measured: give the engine too")


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
