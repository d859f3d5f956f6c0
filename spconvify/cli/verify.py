"""spconvify verify: whether a checkpoint is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from spconvify.cli import options as o
from spconvify.cli import values as v

EPILOG = """
[bold]Examples[/bold]

  spconvify verify sp.pdparams

  spconvify verify sp.safetensors --format json
"""


def verify(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="CHECKPOINT", help="A .pdparams or .safetensors file.")
    ],
    weights: o.Weights = None,
    ignore: o.Ignore = None,
    format: Annotated[str, typer.Option("--format", help="table or json.")] = "table",
    debug: o.Debug = False,
) -> None:
    """Check that a checkpoint is whole: read all of it, and check its checksum. Runs nothing in it."""
    from spconvify.checkpoint.channels import check_channels
    from spconvify.checkpoint.integrity import check_file
    from spconvify.cli.output import result, result_line
    from spconvify.errors import ArgumentError, CheckpointError
    from spconvify.operators.registry import recognised
    from spconvify.report import to_json
    from spconvify.report.units import quantity
    from spconvify.source.parts import identify_part, pick_part, shapes_of
    from spconvify.source.programs.files import program_files

    v.check_format(format, ("table", "json"))
    if program_files(checkpoint) is not None:
        raise ArgumentError(
            f"{checkpoint} is an exported program, which has no checksum; `spconvify inspect` reads "
            "all of it, and compares it with what Paddle computes"
        )
    found = check_file(checkpoint)
    state = dict(found.state)
    pick_part(state, weights, ignore or ())
    check_channels(state, str(checkpoint))
    try:
        architecture = identify_part(state, str(checkpoint)).name
    except CheckpointError:
        architecture = None
    converted = len(recognised(shapes_of(state)))
    if format == "json":
        facts = {
            key: getattr(found, key) for key in ("format", "checksum", "tensors", "elements", "bytes")
        }
        result(to_json({**facts, "architecture": architecture, "spconv_layers": converted}))
        return
    says = "right" if found.checksum else "none (spconvify writes one; this file it didn't write)"
    for name, value in (
        ("format", f".{found.format}, {quantity(found.bytes, 'B')}"),
        ("checksum", says),
        ("tensors", f"{found.tensors}, {quantity(found.elements)} elements"),
        ("network", architecture or "none that spconvify knows"),
        ("SPConv layers", str(converted)),
    ):
        result_line(f"{name:<14} {value}")
