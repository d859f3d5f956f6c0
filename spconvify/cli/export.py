"""spconvify export: files for the engine that deploys the network."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated, Optional

import typer

from spconvify.cli import options as o
from spconvify.cli import values as v
from spconvify.errors import ArgumentError, Option, SlowerWarning
from spconvify.settings import DEFAULT_ENGINE

EPILOG = """
[bold]Examples[/bold]

  spconvify export sp.pdparams --out deploy/

  spconvify export sp.pdparams --out deploy/ --engine onnxruntime --dynamic-batch

  spconvify export sp.pdparams --out deploy/ --engine openvino

  spconvify export slim/ --out deploy/ --engine onnxruntime --input 1,3,640,640 --dynamic-size

  spconvify export w.pdparams --arch my_pkg.nets:build --input 1,3,320,320 --no-tune
"""


def export(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK", help="A checkpoint, converted or not; or package.module:factory."
        ),
    ],
    arch: o.Arch = None,
    weights: o.Weights = None,
    ignore: o.Ignore = None,
    out: Annotated[
        Optional[Path],
        typer.Option("--out", "-o", metavar="FOLDER", help="The folder to make (default: NAME-ENGINE)."),
    ] = None,
    input: o.Input = None,
    engine: o.ExportEngine = DEFAULT_ENGINE,
    threads: Annotated[
        int, typer.Option("--threads", min=1, max=v.MOST_THREADS, help="CPU threads to tune for.")
    ] = 1,
    dynamic_batch: Annotated[
        bool, typer.Option("--dynamic-batch", help="Write files that take any batch.")
    ] = False,
    dynamic_size: Annotated[
        bool, typer.Option("--dynamic-size", help="Write files that take any height and width.")
    ] = False,
    tune: Annotated[
        bool,
        typer.Option("--tune/--no-tune", help="Measure first which form of each layer is fastest here."),
    ] = True,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights", help="Write a network by its name, untrained: to measure, not to use."
        ),
    ] = False,
    format: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    force: o.Force = False,
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """Write a network for deployment: fused, in its fastest forms, and checked."""
    from spconvify.cli.inputs import parse_inputs
    from spconvify.cli.output import progress_bar, result, result_line, working
    from spconvify.cli.reading import inputs_of
    from spconvify.cli.selection import Selection
    from spconvify.deploy.folder import check_folder
    from spconvify.engines import check_engine
    from spconvify.operators.spconv.settings import DEFAULT_GROUPS, DEFAULT_RATIO
    from spconvify.report import export_lines, to_json

    v.check_format(format, ("table", "json"))
    given = parse_inputs(input).one("export")
    check_engine(engine)
    target = out or Path(f"{Path(network).stem.replace(':', '.')}-{engine}")
    check_folder(target, force, inputs_of(network, arch))
    place = target.absolute()  # a network may change the current folder
    source = Selection(
        network, arch, DEFAULT_RATIO, DEFAULT_GROUPS, weights=weights, ignore=ignore
    ).open(quiet)

    if source.is_random and not random_weights:
        raise ArgumentError(
            f"{network!r} is a name, whose weights are random ones; give a checkpoint of it, or say ",
            Option("random_weights"),
        )
    if random_weights and not source.is_random:
        raise ArgumentError(Option("random_weights"), f" goes with a name, and {network!r} isn't one")

    from spconvify.deploy.export import export, read_manifest

    with working(f"building {source.name}", quiet):
        model = source.build()
        (shape,) = given.inputs(model, source.architecture.input_shape)
    with warnings.catch_warnings(), progress_bar("exporting", quiet) as progress:
        warnings.simplefilter("ignore", SlowerWarning)  # a line of the result says it
        export(
            model,
            target,
            shape,
            engine,
            tune,
            threads=threads,
            dynamic_batch=dynamic_batch,
            dynamic_size=dynamic_size,
            overwrite=force,
            progress=progress,
        )
    manifest = read_manifest(place)
    if format == "json":
        result(to_json(manifest.to_dict()))
        return
    for line in export_lines(target, manifest):
        result_line(line)
