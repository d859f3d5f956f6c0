"""spconvify report: before and after, with latency."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from spconvify.cli import options as o
from spconvify.cli import values as v
from spconvify.cli.idle import refuse_idle
from spconvify.operators.spconv.settings import DEFAULT_FUSION, DEFAULT_GROUPS, DEFAULT_RATIO
from spconvify.settings import DEFAULT_ENGINE

EPILOG = """
[bold]Examples[/bold]

  spconvify report resnet18

  spconvify report resnet50 --ratio 0.25 --no-latency --per-layer

  spconvify report resnet50 --ratio 0.25,0.5,0.75 --no-latency

  spconvify report sp.pdparams --threads 2 --format json
"""


def report(
    context: typer.Context,
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            help="A name, a checkpoint (also a converted one), or package.module:factory.",
        ),
    ],
    arch: o.Arch = None,
    weights: o.Weights = None,
    ignore: o.Ignore = None,
    ratio: o.Ratios = f"{DEFAULT_RATIO:g}",
    groups: o.Groups = DEFAULT_GROUPS,
    fusion: o.Fusion = DEFAULT_FUSION,
    include: o.Include = None,
    exclude: o.Exclude = None,
    ratio_for: o.RatioFor = None,
    plan: o.PlanFile = None,
    input: o.Inputs = None,
    latency: Annotated[
        bool,
        typer.Option(
            "--latency/--no-latency", help="Time both networks.", rich_help_panel=o.MEASUREMENT
        ),
    ] = True,
    engine: o.Engine = DEFAULT_ENGINE,
    threads: o.Threads = "1",
    batch: o.Batch = None,
    device: o.Device = "cpu",
    tune: o.Tune = False,
    only_faster: o.OnlyFaster = False,
    format: o.Format = "table",
    per_layer: o.PerLayer = False,
    plot: o.Plot = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Show a network before and after SPConv: parameters, MACs, latency. Writes no checkpoint."""
    from spconvify.cli.job import run
    from spconvify.cli.measurement import Measurement
    from spconvify.cli.reading import inputs_of
    from spconvify.cli.selection import Selection
    from spconvify.cli.showing import Output, show_frontier
    from spconvify.errors import ArgumentError
    from spconvify.report.frontier import UNIFORM, Frontier, Point

    ratios = v.parse_numbers("--ratio", ratio, "0.5,0.25") or ()
    selection = Selection(
        network,
        arch,
        ratios[0],
        groups,
        fusion,
        include=include,
        exclude=exclude,
        ratio_for=ratio_for,
        weights=weights,
        ignore=ignore,
        plan_file=plan,
    )
    measurement = Measurement(
        input, batch, engine if latency else None, threads, device, tune, only_faster
    )
    output = Output(format, per_layer, plot, quiet, force)
    selections = [replace(selection, ratio=one) for one in dict.fromkeys(ratios)]
    if len(selections) > 1:
        for flag, is_given in (("--per-layer", per_layer), ("--plot", plot is not None)):
            if is_given:
                raise ArgumentError(f"{flag} shows one network: give one --ratio")
    for one in selections:
        one.check()
    measurement.check()
    if len(selections) > 1:
        measurement.check_one_setting("a table of several ratios")
    output.check(inputs_of(network, arch, plan=plan))

    def on_converted() -> None:
        refuse_idle(context, converted=True)

    if len(selections) > 1:
        points = []
        for one in selections:
            slimmed = run(one, measurement, quiet, on_converted=on_converted)
            points.append(
                Point(f"ratio {one.ratio:g}", f"SPConv {UNIFORM}", slimmed.plan, slimmed.comparison)
            )
        show_frontier(Frontier(points[0].comparison.model, points), format)
        return
    comparison = run(selection, measurement, quiet, on_converted=on_converted).comparison
    output.show(comparison)
    output.draw(comparison)
