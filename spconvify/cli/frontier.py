"""spconvify frontier: what a network can keep, budget by budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spconvify.cli import image_options as io
from spconvify.cli import options as o
from spconvify.cli import values as v
from spconvify.cli.output import note
from spconvify.settings import DEFAULT_ENGINE

EPILOG = """
[bold]Examples[/bold]

  spconvify frontier model.pdparams --calibration images/

  spconvify frontier model.pdparams --calibration images/ --target-macs 0.5,0.3 --plot frontier.png

  spconvify frontier model.pdparams --calibration images/ --target-speedup 1.5,2 --engine onnxruntime

  spconvify convert model.pdparams --calibration images/ --plan model-frontier/macs-0.4.json
"""


def frontier(
    network: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A .pdparams or .safetensors file, or an exported program: its folder, or one of its "
            "files.",
        ),
    ],
    calibration: io.Calibration = None,
    arch: o.Arch = None,
    weights: o.Weights = None,
    ignore: o.Ignore = None,
    plans: Annotated[
        Optional[Path],
        typer.Option(
            "--plans",
            metavar="FOLDER",
            help="Where every network's plan goes, for `convert --plan` (default: NAME-frontier).",
        ),
    ] = None,
    target_macs: Annotated[
        Optional[str],
        o.option(
            o.BUDGET,
            "--target-macs",
            metavar="SHARES",
            help="Shares of the MACs (default: 0.6,0.5,0.4,0.3,0.25).",
        ),
    ] = None,
    target_speedup: Annotated[
        Optional[str],
        o.option(o.BUDGET, "--target-speedup", metavar="XS", help="Or times as fast in --engine."),
    ] = None,
    allow: o.Allow = None,
    refine: Annotated[
        bool,
        o.option(o.BUDGET, "--refine", help="Train every network on the calibration images at the end."),
    ] = False,
    include: o.Include = None,
    exclude: o.Exclude = None,
    calibration_count: io.CalibrationCount = None,
    eval: io.Eval = None,
    kind: io.Kind = None,
    resize: io.Resize = None,
    mean: io.Mean = None,
    std: io.Std = None,
    normalize: io.Normalize = None,
    bgr: io.Bgr = False,
    seed: io.Seed = None,
    input: o.Inputs = None,
    latency: Annotated[
        bool, typer.Option("--latency", help="Time every network too.", rich_help_panel=o.MEASUREMENT)
    ] = False,
    engine: o.Engine = DEFAULT_ENGINE,
    threads: o.Threads = "1",
    batch: o.Batch = None,
    device: o.Device = "cpu",
    format: o.Format = "table",
    plot: o.Plot = None,
    force: o.Force = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Search within several budgets, and show what each of them costs and keeps."""
    from spconvify.cli.budget import allowed, forget_search
    from spconvify.cli.data import Data
    from spconvify.cli.job import find_frontier
    from spconvify.cli.measurement import Measurement
    from spconvify.cli.plan_file import PlanFolder
    from spconvify.cli.reading import inputs_of
    from spconvify.cli.selection import Selection
    from spconvify.cli.showing import show_frontier
    from spconvify.errors import ArgumentError
    from spconvify.files.places import place_to_fill
    from spconvify.report.frontier_table import FRONTIER_FORMATS
    from spconvify.report.plot import check_plot
    from spconvify.workflow.budget import budgets_of, point_names

    budgets = budgets_of(
        v.parse_numbers("--target-macs", target_macs, "0.5,0.25"),
        v.parse_numbers("--target-speedup", target_speedup, "1.5,2"),
        allowed(allow),
    )
    if calibration is None:
        raise ArgumentError(
            "a frontier is searched for on images: --calibration FOLDER (or an .npy or .npz file)"
        )
    labelled, metric = v.parse_eval(eval)
    data = Data(
        calibration,
        calibration_count,
        labelled,
        v.parse_size(resize),
        v.parse_numbers("--mean", mean),
        v.parse_numbers("--std", std),
        seed,
        bgr,
        metric,
        v.parse_kinds(kind),
        normalize,
    )
    selection = Selection.for_search(network, arch, include, exclude, weights, ignore)
    timed = latency or target_speedup is not None
    measurement = Measurement(input, batch, engine if timed else None, threads, device)
    for options in (selection, measurement, data):
        options.check()
    measurement.check_one_setting("a frontier")
    v.check_format(format, FRONTIER_FORMATS)
    read = inputs_of(network, arch, calibration=calibration, eval=labelled, metric=metric)
    folder = PlanFolder.of(plans, network, point_names(budgets), force, read)
    place = None
    if plot is not None:
        check_plot(plot, force, {**read, "--plans": folder.path})
        place = place_to_fill(plot, force)
    found = find_frontier(
        selection, measurement, quiet, data, [folder.with_journal(one) for one in budgets], refine
    )
    try:
        folder.write({point.name: point.plan for point in found.points})
        note(
            f"saved {len(found.points)} plan{'' if len(found.points) == 1 else 's'} in {folder.path}",
            quiet,
        )
        forget_search(folder.with_journal(budgets[0]))
    finally:
        show_frontier(found, format)  # whatever becomes of the files
    if plot is not None:
        from spconvify.report.frontier_plot import save_frontier_plot

        save_frontier_plot(found, plot, force, place)
        note(f"drew {plot}", quiet)
