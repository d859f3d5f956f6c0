"""spconvify inspect: every convolution of a network, and why it is or isn't eligible."""

from __future__ import annotations

from typing import Annotated

import typer

from spconvify.cli import options as o
from spconvify.cli import values as v
from spconvify.operators.spconv.settings import DEFAULT_GROUPS, DEFAULT_RATIO

EPILOG = """
[bold]Examples[/bold]

  spconvify inspect resnet18

  spconvify inspect model.pdparams --ratio 0.25 --exclude 'layer1.*' --format csv
"""


def inspect(
    network: Annotated[
        str, typer.Argument(metavar="NETWORK", help="A name, a checkpoint, or package.module:factory.")
    ],
    arch: o.Arch = None,
    weights: o.Weights = None,
    ignore: o.Ignore = None,
    ratio: o.Ratio = DEFAULT_RATIO,
    groups: o.Groups = DEFAULT_GROUPS,
    include: o.Include = None,
    exclude: o.Exclude = None,
    ratio_for: o.RatioFor = None,
    input: o.Input = None,
    format: o.Format = "table",
    quiet: o.Quiet = False,
    debug: o.Debug = False,
) -> None:
    """List every convolution of a network with its verdict. Writes nothing; runs it on --input alone."""
    from spconvify.cli.inputs import parse_inputs
    from spconvify.cli.job import inspect_sites
    from spconvify.cli.output import result, stdout
    from spconvify.cli.selection import Selection
    from spconvify.report import FORMATS

    selection = Selection(
        network,
        arch,
        ratio,
        groups,
        include=include,
        exclude=exclude,
        ratio_for=ratio_for,
        weights=weights,
        ignore=ignore,
    )
    selection.check()
    given = parse_inputs(input).one("inspect")
    v.check_format(format, FORMATS)
    name, sites = inspect_sites(selection, quiet, given)
    text = FORMATS[format].sites(stdout(), name, sites)
    if text is not None:
        result(text)
