"""What the commands do with their options: open a network, convert it, compare, show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

from spconvify.cli.data import Data
from spconvify.cli.options import ALL_ENGINES
from spconvify.cli.output import note, progress_bar, result, stdout, working
from spconvify.cli.paddle_setup import load_paddle
from spconvify.cli.values import (
    check_format,
    parse_batches,
    parse_ratios,
    parse_shape,
    parse_threads,
)
from spconvify.comparison import (
    Comparison,
    Side,
    SiteComparison,
    common_settings,
    fill_costs,
    site_table,
)
from spconvify.engines import ENGINES, check_engine, usable_engines
from spconvify.errors import ArgumentError, ConversionError, EngineError, SpconvifyError
from spconvify.loading import Source, open_source
from spconvify.places import Inputs, place_to_fill
from spconvify.report import FORMATS, agreement_lines, print_table, to_csv, to_json, to_markdown
from spconvify.report.plot import check_plot, save_plot
from spconvify.settings import DEFAULT_FUSION, DEFAULT_INIT, INITS, SPConvSettings


@dataclass
class Selection:
    """Which network, and how to convert it."""

    source: str
    arch: str | None
    ratio: float
    groups: int
    fusion: str = DEFAULT_FUSION
    init: str = DEFAULT_INIT
    include: list[str] | None = None
    exclude: list[str] | None = None
    ratio_for: list[str] | None = None
    weights: str | None = None
    ignore: list[str] | None = None

    def check(self) -> None:
        """Find wrong values before Paddle is loaded.

        Raises:
            ArgumentError: names the value and what would do.
        """
        for ratio in (self.ratio, *parse_ratios(self.ratio_for).values()):
            SPConvSettings(ratio, self.groups, self.fusion).check()
        if self.init not in INITS:
            raise ArgumentError(f"init {self.init!r} is unknown; use one of: {', '.join(INITS)}")

    def open(self, quiet: bool) -> Source:
        """Read the source and load Paddle."""
        with working(f"reading {self.source}", quiet):
            source = open_source(self.source, self.arch, weights=self.weights, ignore=self.ignore or ())
        with working("loading Paddle", quiet):
            load_paddle()
        ambiguous = getattr(source.architecture, "ambiguous_with", ())
        if ambiguous and source.state is not None:
            note(f"the same keys also fit {', '.join(ambiguous)}; name it with --arch", quiet)
        return source

    def plan(self, model: Any) -> Any:
        """Plan the conversion of `model`."""
        from spconvify.planning import plan

        return plan(
            model,
            self.ratio,
            self.groups,
            fusion=self.fusion,
            include=self.include,
            exclude=self.exclude,
            ratios=parse_ratios(self.ratio_for),
        )


@dataclass
class Measurement:
    """What to measure; `engine` None leaves the latency out. Batches and threads make a grid."""

    input: str | None
    batch: str | None
    engine: str | None
    threads: str = "1"
    device: str = "cpu"
    tune: bool = False
    only_faster: bool = False

    def check(self) -> None:
        """Find wrong values before Paddle is loaded.

        Raises:
            ArgumentError: names the value and what would do.
        """
        parse_shape(self.input, self.batches[0], (1, 1, 1, 1))
        parse_threads(self.threads)
        if self.device != "cpu":
            load_paddle()  # which is asked for its GPUs
        if self.engine not in (None, ALL_ENGINES):
            check_engine(self.engine, self.device)
        if self.only_faster and self.engine is None:
            raise ArgumentError("--only-faster measures: it doesn't go with --no-latency")

    @property
    def batches(self) -> Sequence[int | None]:
        """The batches that were asked for; [None] if none was."""
        return [None] if self.batch is None else parse_batches(self.batch)

    @property
    def engines(self) -> list[str]:
        """Those that "all" means, or the one."""
        if self.engine is None:
            return []
        return usable_engines(self.device) if self.engine == ALL_ENGINES else [self.engine]

    def grid(self, shape: tuple[int, ...]) -> Iterator[tuple[str, int, tuple[int, ...]]]:
        """(engine, threads, input shape) of every timing."""
        for engine in self.engines:
            for batch in self.batches:
                for threads in parse_threads(self.threads):
                    yield engine, threads, (shape if batch is None else (batch, *shape[1:]))


@dataclass
class Output:
    """How to show the result."""

    format: str
    per_layer: bool
    plot: Path | None
    quiet: bool
    force: bool = False
    place: Path | None = None  # of the plot

    def check(self, inputs: Inputs | None = None) -> None:
        """Find wrong values before Paddle is loaded.

        Args:
            inputs: what a plot must not replace, by the option's name.

        Raises:
            ArgumentError: names the value and what would do.
            EngineError: if a plot is wanted and matplotlib isn't installed.
        """
        check_format(self.format, FORMATS)
        if self.plot is not None:
            check_plot(self.plot, self.force, inputs)
            self.place = place_to_fill(self.plot, self.force)

    def show(self, comparison: Comparison) -> None:
        """Print the comparison, and draw the plot."""
        if self.format == "table":
            print_table(stdout(), comparison, self.per_layer)
        elif self.format == "json":
            result(to_json(comparison))
        elif self.format == "csv":
            result(to_csv(comparison.sites, agreement_lines(comparison)))
        else:
            result(to_markdown(comparison, self.per_layer))
        if self.plot is not None:
            save_plot(comparison, self.plot, self.force, self.place)
            note(f"drew {self.plot}", self.quiet)


def run(
    selection: Selection,
    measurement: Measurement,
    quiet: bool,
    data: Data | None = None,
    on_converted: Callable[[], None] | None = None,
) -> tuple[Any, Comparison]:
    """Convert a network and compare before with after.

    Where there is `on_converted`, a converted checkpoint is taken as it is and compared with its
    original; it is called first.

    Raises:
        SpconvifyError: if there is nothing to convert, or anything on the way fails.
    """
    source = selection.open(quiet)
    default = source.architecture.input_shape
    shape = parse_shape(measurement.input, measurement.batches[0], default)
    if on_converted is not None and source.converted:
        on_converted()
        with working(f"counting {source.name}", quiet):
            before, after, comparison = _as_it_is(source, shape, measurement.input is not None)
    else:
        before, after, comparison = _converted(
            source, shape, selection, measurement, data or Data(), quiet
        )
    _time(comparison, before, after, measurement, quiet)
    return after, comparison


def _time(
    comparison: Comparison, before: Any, after: Any, measurement: Measurement, quiet: bool
) -> None:
    if measurement.engine is None:
        return
    from spconvify.deploy.timing import time_networks

    with progress_bar("timing", quiet) as progress:
        for engine, threads, shape in measurement.grid(comparison.input_shape):
            try:
                timing = time_networks(
                    before,
                    after,
                    shape,
                    engine,
                    threads,
                    measurement.device,
                    tune=measurement.tune,
                    progress=progress,
                )
            except (EngineError, ConversionError) as problem:  # the rest of the table is right
                comparison.untimed.append(f"{ENGINES[engine]}: {problem}")
            else:
                comparison.add(timing)


def _converted(
    source: Source,
    shape: tuple[int, ...],
    selection: Selection,
    measurement: Measurement,
    data: Data,
    quiet: bool,
) -> tuple[Any, Any, Comparison]:
    from spconvify.agreement import agreement
    from spconvify.conversion import carry_out, check_init, nothing_to_convert
    from spconvify.copying import copied
    from spconvify.counting import cost
    from spconvify.reach import reached_part
    from spconvify.verify import input_layout, usual_input

    with working(f"building {source.name}", quiet):
        model = source.build()
        plan = selection.plan(model)
        if measurement.input is None:
            shape = usual_input(model, shape)
    if not plan.sites:
        raise SpconvifyError(f"{source.name}: {nothing_to_convert(plan)}")
    if measurement.only_faster:
        plan = _only_faster(source.name, model, plan, shape, measurement, quiet)
    layout = input_layout(model, shape)
    calibration = data.read_calibration(shape, layout, quiet)
    labelled = data.read_labelled(shape, layout, quiet)
    check_init(selection.init, calibration)
    if calibration is not None and measurement.input is None:
        shape = (shape[0], *calibration.values.shape[1:])
    cost_before = cost(model, shape)  # says why if the network doesn't run on this
    plan = reached_part(model, plan, shape)
    if not plan.sites:
        raise SpconvifyError(f"{source.name}: {nothing_to_convert(plan)}")
    sites = site_table(model, plan)
    accuracy_before = _accuracy(model, labelled, "before", quiet)
    # Only a latency, and labelled images without others, need the original again: else one is enough.
    compared = labelled is not None and calibration is None
    before = copied(model) if measurement.engine is not None or compared else None
    with progress_bar("fitting", quiet or calibration is None) as progress:
        after, report = carry_out(
            model,
            plan,
            init=selection.init,
            calibration=calibration and calibration.batches(),
            inplace=True,
            input_shape=shape,
            seed=data.seed or 0,
            progress=lambda name, done, total: progress(done, total, f"fitting {name}"),
        )
    settings = {"ratio": selection.ratio, "groups": selection.groups, "fusion": selection.fusion}
    comparison = _comparison(source.name, shape, cost_before, after, sites, settings)
    comparison.add_fit(report)
    if compared and data.eval is not None:
        comparison.agreement = agreement(before, after, labelled.batches(), f"of {data.eval.name}")
    comparison.before.top1 = accuracy_before
    comparison.after.top1 = _accuracy(after, labelled, "after", quiet)
    return before, after, comparison


def _only_faster(
    name: str, model: Any, plan: Any, shape: tuple[int, ...], measurement: Measurement, quiet: bool
) -> Any:
    """The plan without the sites where no form is faster than the dense convolution."""
    from spconvify.conversion import carry_out
    from spconvify.deploy.tune import choose_forms

    trial, _ = carry_out(model, plan, init=DEFAULT_INIT, input_shape=shape)
    slower: set[str] = set()
    with progress_bar("timing forms", quiet) as progress:
        for engine, threads, size in measurement.grid(shape):
            choice = choose_forms(trial, size, engine, threads, measurement.device, progress=progress)
            slower.update(choice.slower)
    for site in slower:
        plan.skipped[site] = "the dense convolution is faster here"
    plan = replace(plan, sites={site: how for site, how in plan.sites.items() if site not in slower})
    if not plan.sites:
        raise SpconvifyError(f"{name}: no site is faster with SPConv here; leave out --only-faster")
    return plan


def _accuracy(model: Any, labelled: Any, when: str, quiet: bool) -> float | None:
    if labelled is None:
        return None
    from spconvify.accuracy import top1

    with progress_bar(f"accuracy {when}", quiet) as progress:
        return top1(model, labelled.values, labelled.labels, progress=progress)


def _as_it_is(source: Source, shape: tuple[int, ...], given: bool) -> tuple[Any, Any, Comparison]:
    """A converted checkpoint: the network as it was before has random weights, and the same cost."""
    from spconvify.counting import cost
    from spconvify.planning import plan_of
    from spconvify.verify import usual_input

    before, after = source.build_dense(), source.build()
    shape = shape if given else usual_input(after, shape)
    plan = plan_of(after)
    sites = site_table(before, plan)
    comparison = _comparison(
        source.name, shape, cost(before, shape), after, sites, common_settings(plan)
    )
    return before, after, comparison


def _comparison(
    name: str,
    shape: tuple[int, ...],
    cost_before: Any,
    after: Any,
    sites: list[SiteComparison],
    settings: dict[str, Any],
) -> Comparison:
    from spconvify.counting import cost

    cost_after = cost(after, shape)
    fill_costs(sites, cost_before, cost_after)
    uncounted = list(cost_after.uncounted)
    sides = Side.of(cost_before), Side.of(cost_after)
    return Comparison(name, shape, *sides, **settings, sites=sites, uncounted=uncounted)


def inspect_sites(selection: Selection, quiet: bool) -> tuple[str, list[SiteComparison]]:
    """The verdict on every convolution of a network, with its parameters."""
    source = selection.open(quiet)
    with working(f"building {source.name}", quiet):
        model = source.build()
        plan = selection.plan(model)
        sites = site_table(model, plan)
        parameters = dict(model.named_parameters())
    for site in sites:
        prefix = f"{site.name}." if site.name else ""
        own = [p for key, p in parameters.items() if key in (f"{prefix}weight", f"{prefix}bias")]
        site.params_before = sum(int(p.size) for p in own)
    return source.name, sites
