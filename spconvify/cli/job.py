"""What the commands do with their options: open a network, convert it, compare, show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

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
from spconvify.engines import check_engine, usable_engines
from spconvify.errors import ArgumentError
from spconvify.files.places import Inputs, place_to_fill
from spconvify.operators import inits
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.operators.spconv.settings import DEFAULT_FUSION, SPConvSettings
from spconvify.report import FORMATS, agreement_lines, print_table, to_csv, to_json, to_markdown
from spconvify.report.comparison import Comparison, SiteComparison, site_table
from spconvify.report.plot import check_plot, save_plot
from spconvify.source.loading import Source, open_source

if TYPE_CHECKING:
    from spconvify.workflow.slim import Slimmed
    from spconvify.workflow.timing import Setting


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
    plan_file: Path | None = None

    def check(self) -> None:
        """Find wrong values before Paddle is loaded.

        Raises:
            ArgumentError: names the value and what would do.
        """
        for ratio in (self.ratio, *parse_ratios(self.ratio_for).values()):
            SPConvSettings(ratio, self.groups, self.fusion).check()
        inits.find(self.init)

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
        """Plan the conversion of `model`, or take the plan of a file."""
        from spconvify.cli.plan_file import read_plan
        from spconvify.surgery.planning import plan

        if self.plan_file is not None:
            return read_plan(self.plan_file, model)
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

    @property
    def settings(self) -> list[Setting]:
        """Every engine, batch and number of threads to time in."""
        from spconvify.workflow.timing import Setting

        return [
            Setting(engine, threads, batch, self.device)
            for engine in self.engines
            for batch in self.batches
            for threads in parse_threads(self.threads)
        ]


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
) -> Slimmed:
    """Convert a network and compare before with after.

    Where there is `on_converted`, a converted checkpoint is taken as it is and compared with its
    original; it is called first.

    Raises:
        SpconvifyError: if there is nothing to convert, or anything on the way fails.
    """
    source = selection.open(quiet)
    shape = parse_shape(measurement.input, measurement.batches[0], source.architecture.input_shape)
    if on_converted is not None and source.converted:
        on_converted()
        return _as_it_is(source, shape, measurement, quiet)
    from spconvify.calibration.images import CalibrationImages
    from spconvify.network.run import input_layout, usual_input
    from spconvify.workflow.slim import Job, carry_out_job, check_plan

    with working(f"building {source.name}", quiet):
        model = source.build()
        plan = selection.plan(model)
        if measurement.input is None:
            shape = usual_input(model, shape)
    check_plan(source.name, plan)
    data = data or Data()
    layout = input_layout(model, shape)
    calibration = data.read_calibration(shape, layout, quiet)
    labelled = data.read_labelled(shape, layout, quiet)
    job = Job(
        source.name,
        shape,
        measurement.input is None,
        selection.init,
        calibration and CalibrationImages(calibration.batches()),
        labelled and (labelled.values, labelled.labels),
        f"of {data.eval.name}" if data.eval else "",
        measurement.settings,
        measurement.tune,
        measurement.only_faster,
        data.seed or 0,
    )
    with progress_bar("converting", quiet) as progress:
        return carry_out_job(model, plan, job, progress)


def _as_it_is(source: Source, shape: tuple[int, ...], measurement: Measurement, quiet: bool) -> Slimmed:
    """A converted checkpoint: the network as it was before has random weights, and the same cost."""
    from spconvify.network.counting import cost
    from spconvify.network.run import usual_input
    from spconvify.report.comparison import common_settings, compared
    from spconvify.surgery.planning import plan_of
    from spconvify.workflow.slim import Slimmed
    from spconvify.workflow.timing import add_timings

    with working(f"counting {source.name}", quiet):
        before, after = source.build_dense(), source.build()
        if measurement.input is None:
            shape = usual_input(after, shape)
        plan = plan_of(after)
        costs, sites = cost(before, shape), site_table(before, plan)
        comparison = compared(source.name, shape, costs, after, sites, common_settings(plan))
    with progress_bar("timing", quiet) as progress:
        settings, tune = measurement.settings, measurement.tune
        add_timings(comparison, before, after, settings, tune, progress)
    return Slimmed(after, comparison, plan)


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
