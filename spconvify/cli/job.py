"""One conversion with its comparison: what `convert` and `report` have in common."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spconvify.cli.options import check_format, parse_ratios, parse_shape
from spconvify.cli.output import note, progress_bar, silence_paddle, stdout, working
from spconvify.comparison import (
    Comparison,
    Side,
    add_latency,
    common_settings,
    fill_costs,
    site_table,
)
from spconvify.errors import ArgumentError, SpconvifyError
from spconvify.report import FORMATS, print_table, to_csv, to_json, to_markdown


@dataclass
class Job:
    """What the user asked for."""

    source: str
    arch: str | None
    ratio: float
    groups: int
    fusion: str
    init: str
    include: list[str] | None
    exclude: list[str] | None
    ratio_for: list[str] | None
    input: str | None
    batch: int | None
    engine: str | None
    threads: int
    device: str
    quiet: bool
    format: str = "table"
    per_layer: bool = False
    plot: Path | None = None

    def check(self) -> None:
        """Everything that can be found wrong before Paddle is loaded.

        Raises:
            ArgumentError: for an option's value that can't be.
        """
        from spconvify.engines import check_engine

        check_format(self.format, FORMATS)
        parse_ratios(self.ratio_for)
        parse_shape(self.input, self.batch, (1, 1, 1, 1))
        if self.plot is not None and (self.plot.is_dir() or not self.plot.resolve().parent.is_dir()):
            raise ArgumentError(f"--plot {self.plot}: not a file in an existing folder")
        if self.engine is not None:
            check_engine(self.engine, self.device)

    def run(self) -> tuple[Any, Comparison]:
        """Convert, or take an already converted checkpoint as it is.

        Returns:
            The converted network and the comparison with the original one.
        """
        from spconvify.loading import open_source

        with working(f"reading {self.source}", self.quiet):
            source = open_source(self.source, self.arch)
        with working("loading Paddle", self.quiet):
            import paddle

            silence_paddle()
            if self.engine is None and self.device.startswith("gpu"):
                paddle.set_device(self.device)
        ambiguous = getattr(source.architecture, "ambiguous_with", ())
        if ambiguous and source.state is not None:
            note(f"the same keys also fit {', '.join(ambiguous)}; use --arch if it is that", self.quiet)
        shape = parse_shape(self.input, self.batch, source.architecture.input_shape)
        with working(f"converting {source.name}", self.quiet):
            if source.converted:
                before, after = source.build_dense(), source.build()
                comparison = self._compare_converted(source.name, shape, before, after)
            else:
                before, after, comparison = self._convert(source.name, shape, source.build())
        if self.engine is not None:
            with progress_bar(f"timing in {self.engine}", self.quiet) as progress:
                add_latency(
                    comparison, before, after, self.engine, self.threads, self.device, progress
                )
        return after, comparison

    def _convert(self, name: str, shape: tuple[int, ...], model: Any) -> tuple[Any, Any, Comparison]:
        from spconvify.conversion import check_init, nothing_to_convert
        from spconvify.counting import cost
        from spconvify.planning import plan
        from spconvify.surgery import apply_plan

        check_init(self.init, None)
        planned = plan(
            model,
            self.ratio,
            self.groups,
            fusion=self.fusion,
            include=self.include,
            exclude=self.exclude,
            ratios=parse_ratios(self.ratio_for),
        )
        if not planned.sites:
            raise SpconvifyError(f"{name}: {nothing_to_convert(planned)}")
        comparison = self._comparison(name, shape, cost(model, shape), site_table(model, planned))
        # The original is only needed again where latency is measured.
        before = copy.deepcopy(model) if self.engine is not None else None
        after = apply_plan(model, planned, init=self.init, inplace=True)
        self._finish(comparison, cost(after, shape))
        return before, after, comparison

    def _compare_converted(self, name: str, shape: tuple[int, ...], before: Any, after: Any) -> Comparison:
        from spconvify.counting import cost
        from spconvify.planning import plan_of

        planned = plan_of(after)
        comparison = self._comparison(name, shape, cost(before, shape), site_table(before, planned))
        for key, value in common_settings(planned).items():
            setattr(comparison, key, value)
        self._finish(comparison, cost(after, shape))
        return comparison

    def _comparison(self, name: str, shape: tuple[int, ...], cost: Any, sites: list) -> Comparison:
        side = Side.of(cost)
        comparison = Comparison(
            name, shape, side, side, self.ratio, self.groups, self.fusion, sites, device=self.device
        )
        fill_costs(sites, cost, cost)
        return comparison

    def _finish(self, comparison: Comparison, cost: Any) -> None:
        comparison.after = Side.of(cost)
        comparison.uncounted = list(cost.uncounted)
        fill_costs(comparison.sites, cost, cost)

    def show(self, comparison: Comparison) -> None:
        """Print the comparison in the format asked for, and draw the plot."""
        if self.format == "table":
            print_table(stdout(), comparison, self.per_layer)
        elif self.format == "json":
            print(to_json(comparison))
        elif self.format == "csv":
            print(to_csv(comparison.sites))
        else:
            print(to_markdown(comparison, self.per_layer))
        if self.plot is not None:
            from spconvify.report.plot import save_plot

            save_plot(comparison, self.plot)
            note(f"drew {self.plot}", self.quiet)
