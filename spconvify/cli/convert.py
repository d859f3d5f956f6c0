"""spconvify convert: a checkpoint in, a converted checkpoint out."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from spconvify.cli import completion
from spconvify.cli import image_options as io
from spconvify.cli import options as o
from spconvify.cli import values as v
from spconvify.cli.output import note
from spconvify.cli.signals import end_if_asked
from spconvify.operators import inits
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.operators.spconv.settings import DEFAULT_FUSION, DEFAULT_GROUPS, DEFAULT_RATIO
from spconvify.settings import DEFAULT_ENGINE

EPILOG = """
[bold]Examples[/bold]

  spconvify convert model.pdparams --ratio 0.5 --out sp.pdparams

  spconvify convert model.pdparams --calibration images/ --out sp.pdparams

  spconvify convert model.pdparams --calibration images/ --target-speedup 1.8 --engine onnxruntime

  spconvify convert w.pdparams --arch my_pkg.nets:build --exclude 'stem.*'

  spconvify convert model.pdparams --ratio-for 'layer4.*=0.25' --dry-run --per-layer

  spconvify convert w.pdparams --arch nets:build --calibration images/ --eval metrics:miou

  spconvify convert PP-OCRv4_det/ --calibration pages/ --out PP-OCRv4_det-slim/
"""


def convert(
    checkpoint: Annotated[
        str,
        typer.Argument(
            metavar="CHECKPOINT",
            help="A .pdparams or .safetensors file, or an exported program: its folder, or one of its "
            "files.",
        ),
    ],
    arch: o.Arch = None,
    weights: o.Weights = None,
    ignore: o.Ignore = None,
    out: Annotated[
        Optional[str],
        typer.Option(
            "--out",
            "-o",
            metavar="PATH",
            help="The converted checkpoint (default: NAME-spconv.SUFFIX); of a program a folder with "
            "one in the same format, or a FILE.pdparams to train on.",
        ),
    ] = None,
    ratio: o.Ratio = DEFAULT_RATIO,
    groups: o.Groups = DEFAULT_GROUPS,
    fusion: o.Fusion = DEFAULT_FUSION,
    init: Annotated[
        Optional[str],
        typer.Option(
            "--init",
            help="Weights to start from: lstsq (fitted to images), copy, or none (random) "
            "(default: lstsq with --calibration, else copy).",
            autocompletion=completion.inits,
            rich_help_panel=o.CONVERSION,
        ),
    ] = None,
    include: o.Include = None,
    exclude: o.Exclude = None,
    ratio_for: o.RatioFor = None,
    plan: o.PlanFile = None,
    target_macs: o.TargetMacs = None,
    target_speedup: o.TargetSpeedup = None,
    max_drop: o.MaxDrop = None,
    allow: o.Allow = None,
    refine: o.Refine = None,
    calibration: io.Calibration = None,
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
        bool, typer.Option("--latency", help="Time both networks too.", rich_help_panel=o.MEASUREMENT)
    ] = False,
    engine: o.Engine = DEFAULT_ENGINE,
    threads: o.Threads = "1",
    batch: o.Batch = None,
    device: o.Device = "cpu",
    tune: o.Tune = False,
    only_faster: o.OnlyFaster = False,
    format: o.Format = "table",
    per_layer: o.PerLayer = False,
    plot: o.Plot = None,
    save_plan: o.SavePlan = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")
    ] = False,
    force: o.Force = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Replace the dense 3x3 convolutions of a trained network with SPConv."""
    from spconvify.cli.budget import budget_of, check_budget, forget_search, with_journal
    from spconvify.cli.conversion_output import ConversionOutput
    from spconvify.cli.data import Data
    from spconvify.cli.job import run
    from spconvify.cli.measurement import Measurement
    from spconvify.cli.plan_file import PlanOutput
    from spconvify.cli.reading import inputs_of
    from spconvify.cli.selection import Selection
    from spconvify.cli.showing import Output
    from spconvify.errors import ArgumentError
    from spconvify.source.loading import is_checkpoint

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
    init = init or ("lstsq" if calibration else DEFAULT_INIT)
    fits = inits.find(init).needs_images
    if fits and calibration is None:
        raise ArgumentError(
            f"--init {init} needs images: --calibration FOLDER (or an .npy or .npz file)"
        )
    if not fits and calibration is not None:
        raise ArgumentError(f"--init {init} uses no images; leave out --calibration or --init")
    budget = budget_of(target_macs, target_speedup, max_drop, allow)
    if budget is not None:
        check_budget(budget, calibration, init, plan, only_faster)
    selection = Selection(
        checkpoint,
        arch,
        ratio,
        groups,
        fusion,
        init,
        include,
        exclude,
        ratio_for,
        weights,
        ignore,
        plan,
    )
    timed = latency or only_faster or (budget is not None and budget.speedup is not None)
    measurement = Measurement(
        input, batch, engine if timed else None, threads, device, tune, only_faster
    )
    output = Output(format, per_layer, plot, quiet, force)
    for options in (selection, measurement, data):
        options.check()
    if not is_checkpoint(checkpoint):
        raise ArgumentError(
            f"{checkpoint!r} isn't a .pdparams or .safetensors file, nor an exported program; "
            "`spconvify report` takes the name of a network"
        )
    target = ConversionOutput.of(checkpoint, out, force)
    inputs = inputs_of(
        checkpoint, arch, calibration=calibration, eval=labelled, plan=plan, metric=metric
    )
    output.check({**inputs, "--out": target.path})
    written = (
        None
        if save_plan is None
        else PlanOutput.of(save_plan, force, {**inputs, "--out": target.path, "--plot": plot})
    )
    if not dry_run or out is not None:
        target.check(inputs)
    if budget is not None:
        budget = with_journal(budget, target.path)
    slimmed = run(selection, measurement, quiet, data, budget=budget, refine=refine)
    end_if_asked()  # before anything is written
    if not dry_run:
        target.write(slimmed.network, measurement, quiet, arch)
    output.show(slimmed.comparison)
    if written is not None:
        written.write(slimmed.plan)
    if budget is not None:
        forget_search(budget)
    output.draw(slimmed.comparison)
    others = [str(path) for path in (save_plan, plot) if path is not None]
    if dry_run and others:
        note(f"dry run: no checkpoint was written, only {' and '.join(others)}", quiet)
    elif dry_run:
        note("dry run: nothing was written", quiet)
