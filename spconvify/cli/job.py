"""What the commands do with their options: open a network, convert it, compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from spconvify.cli.data import Data
from spconvify.cli.inputs import Given
from spconvify.cli.measurement import Measurement
from spconvify.cli.output import note, progress_bar, working
from spconvify.cli.selection import Selection
from spconvify.engines import registry
from spconvify.errors import SpconvifyError
from spconvify.report.sites import SiteComparison, site_table
from spconvify.source.loading import Source

if TYPE_CHECKING:
    from spconvify.report.frontier import Frontier
    from spconvify.workflow.budget import Budget
    from spconvify.workflow.job import Job, Slimmed


def run(
    selection: Selection,
    measurement: Measurement,
    quiet: bool,
    data: Data | None = None,
    on_converted: Callable[[], None] | None = None,
    budget: Budget | None = None,
    refine: bool | None = None,
) -> Slimmed:
    """Convert a network and compare before with after.

    Where there is `on_converted`, a converted checkpoint is taken as it is and compared with its
    original; it is called first.

    Raises:
        SpconvifyError: if there is nothing to convert, or anything on the way fails.
    """
    source = selection.open(quiet)
    from spconvify.workflow.job import check_plan
    from spconvify.workflow.main_line import carry_out_job

    if on_converted is not None and source.converted:
        on_converted()
        return _with_skipped(_as_it_is(source, measurement, quiet), measurement)
    model, job = _job(source, selection, measurement, quiet, data or Data(), budget, refine)
    job.judge_copies = on_converted is None  # a report keeps no weights
    plan = selection.plan(model) if budget is None else None
    if plan is not None:
        check_plan(source.name, plan)
    with progress_bar("converting", quiet) as progress:
        return _with_skipped(carry_out_job(model, plan, job, progress), measurement)


def find_frontier(
    selection: Selection,
    measurement: Measurement,
    quiet: bool,
    data: Data,
    budgets: Sequence[Budget],
    refine: bool,
) -> Frontier:
    """Search within several budgets.

    Raises:
        SpconvifyError: if none can be had, or anything on the way fails.
    """
    source = selection.open(quiet)
    from spconvify.workflow.frontier import frontier_of

    model, job = _job(source, selection, measurement, quiet, data, budgets[0], refine)
    with progress_bar("searching", quiet) as progress:
        return frontier_of(model, budgets, job, progress)


def _job(
    source: Source,
    selection: Selection,
    measurement: Measurement,
    quiet: bool,
    data: Data,
    budget: Budget | None,
    refine: bool | None,
) -> tuple[Any, Job]:
    """The network, and what the options say of it."""
    from spconvify.calibration.images import CalibrationImages
    from spconvify.network.batches import without_example
    from spconvify.network.examples import example_of, form_of
    from spconvify.network.inputs import Inputs
    from spconvify.workflow.job import Job

    given = measurement.given
    with working(f"building {source.name}", quiet):
        model = source.build()
        shape, *others = given.inputs(model, source.architecture.input_shape)
    form = shape if isinstance(shape, Inputs) else form_of(shape, model)
    if form is not shape and form is not None and form.is_plain:
        form = None  # pictures of any size
    calibration = data.read_calibration(model, shape, quiet)
    judge = data.judge(model, shape, form, quiet)
    reads = calibration is not None or judge.labelled is not None
    if form is not None and reads and (names := without_example(form)):
        note(
            f"random numbers are given for {', '.join(names)}; a factory that returns "
            "(network, example) says better ones",
            quiet,
        )
    return model, Job(
        source.name,
        shape,
        not given and example_of(model) is None,
        selection.init,
        calibration and CalibrationImages(calibration.values, model, form),
        judge,
        measurement.settings,
        measurement.tune,
        measurement.only_faster,
        data.seed or 0,
        data.kinds,
        others,
        budget=budget,
        refine=refine,
        chosen=None if budget is None else selection.chosen(model),
    )


def _with_skipped(slimmed: Slimmed, measurement: Measurement) -> Slimmed:
    """With the engines that "all" left out among those without a latency."""
    slimmed.comparison.failures += [
        SpconvifyError(f"{registry.label(name)}: ", why) for name, why in measurement.skipped.items()
    ]
    return slimmed


def _as_it_is(source: Source, measurement: Measurement, quiet: bool) -> Slimmed:
    """A converted checkpoint: the network as it was before has random weights, and the same cost."""
    from spconvify.network.counting import cost
    from spconvify.report.comparison import common_settings, compared
    from spconvify.surgery.planning import plan_of
    from spconvify.workflow.job import Slimmed
    from spconvify.workflow.timing import add_timings

    with working(f"counting {source.name}", quiet):
        before, after = source.build_dense(), source.build()
        shape, *others = measurement.given.inputs(after, source.architecture.input_shape)
        plan = plan_of(after)
        costs, sites = cost(before, shape), site_table(before, plan)
        comparison = compared(source.name, shape, costs, after, sites, common_settings(plan))
    with progress_bar("timing", quiet) as progress:
        settings, tune = measurement.settings, measurement.tune
        add_timings(comparison, before, after, [shape, *others], settings, tune, progress)
    return Slimmed(after, comparison, plan)


def _reached(model: Any, plan: Any, given: Given, source: Source) -> Any:
    from spconvify.network.inputs import Inputs
    from spconvify.network.run import run, trying
    from spconvify.surgery.reach import reached_part

    (shape,) = given.inputs(model, source.architecture.input_shape)
    with trying(model):
        run(model, Inputs.of(shape, model))  # says why if the network doesn't run on this
    return reached_part(model, plan, shape)


def inspect_sites(
    selection: Selection, quiet: bool, given: Given | None = None
) -> tuple[str, list[SiteComparison]]:
    """The verdict on every convolution of a network, with its parameters.

    With an input it is run once, and what that doesn't reach isn't eligible.
    """
    source = selection.open(quiet)
    with working(f"building {source.name}", quiet):
        model = source.build()
        plan = selection.plan(model)
        if given:
            plan = _reached(model, plan, given, source)
        sites = site_table(model, plan)
        parameters = dict(model.named_parameters())
    for site in sites:
        prefix = f"{site.name}." if site.name else ""
        own = [p for key, p in parameters.items() if key in (f"{prefix}weight", f"{prefix}bias")]
        site.params_before = sum(int(p.size) for p in own)
    return source.name, sites
