"""The options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from spconvify.cli import completion
from spconvify.cli.values import parse_file
from spconvify.engines import registry
from spconvify.settings import DEFAULT_ENGINE

CONVERSION, IMAGES, MEASUREMENT, OUTPUT = "Conversion", "Images", "Measurement", "Output"
BUDGET = "Budget"
ALL_ENGINES = "all"


def option(panel: str, *names: str, help: str, **more):
    """An option in one of the panels of a command's help."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


def _all_engines() -> list[str]:
    """By name; those that export first, which are what networks are deployed with."""
    exporting = registry.exporting()
    return [*exporting, *(name for name in registry.names() if name not in exporting)]


def _exporting_engines() -> str:
    """As a text, with the default one's full name."""
    label = registry.engine(DEFAULT_ENGINE).label
    *names, last = registry.exporting()
    shown = [f"{name} ({label})" if name == DEFAULT_ENGINE else name for name in names]
    return f"{', '.join(shown)} or {last}"


Ratio = Annotated[
    float,
    option(CONVERSION, "--ratio", help="Share of the input channels that keep a 3x3, in (0, 1)."),
]
Ratios = Annotated[
    str,
    option(
        CONVERSION,
        "--ratio",
        metavar="RATIO[,RATIO]",
        help="Share of the input channels that keep a 3x3, in (0, 1); several in one table: 0.25,0.5.",
    ),
]
Groups = Annotated[int, option(CONVERSION, "--groups", help="Groups of that 3x3.")]
Fusion = Annotated[
    str,
    option(
        CONVERSION,
        "--fusion",
        help="sum: one linear layer; gap: the paper's gate.",
        autocompletion=completion.fusions,
    ),
]
Include = Annotated[
    Optional[list[str]],
    option(CONVERSION, "--include", metavar="GLOB", help="Convert only layers that match; repeatable."),
]
Exclude = Annotated[
    Optional[list[str]],
    option(CONVERSION, "--exclude", metavar="GLOB", help="Leave these layers alone; repeatable."),
]
RatioFor = Annotated[
    Optional[list[str]],
    option(CONVERSION, "--ratio-for", metavar="GLOB=R", help="A ratio for these layers; repeatable."),
]
PlanFile = Annotated[
    Optional[Path],
    option(CONVERSION, "--plan", metavar="FILE", help="Convert what this plan says (see --save-plan)."),
]
TargetMacs = Annotated[
    Optional[float],
    option(
        BUDGET,
        "--target-macs",
        metavar="SHARE",
        help="Search for the network with this share of the MACs that keeps most, as 0.4.",
    ),
]
TargetSpeedup = Annotated[
    Optional[float],
    option(
        BUDGET, "--target-speedup", metavar="X", help="The same for one X times as fast in --engine."
    ),
]
MaxDrop = Annotated[
    Optional[float],
    option(
        BUDGET,
        "--max-drop",
        metavar="POINTS",
        help="The same for the least one that loses no more points: of accuracy with --eval, else of "
        "agreement.",
    ),
]
Allow = Annotated[
    Optional[str],
    option(
        BUDGET,
        "--allow",
        help="What a budget may do to layers: spconv, prune (fewer inner channels), or spconv,prune.",
    ),
]
Refine = Annotated[
    Optional[bool],
    option(
        BUDGET,
        "--refine/--no-refine",
        help="Train at the end on the calibration images (default: with a budget, if it takes under ten "
        "minutes).",
    ),
]
SavePlan = Annotated[
    Optional[Path],
    option(
        OUTPUT,
        "--save-plan",
        metavar="FILE",
        parser=parse_file,
        help="Write what was converted, and how, as JSON.",
    ),
]
_SHAPE = "Shape of the input (default: the network's); of several inputs NAME=SHAPE[:DTYPE] each"
Input = Annotated[
    Optional[list[str]],
    option(MEASUREMENT, "--input", metavar="N,C,H,W", help=f"{_SHAPE}."),
]
Inputs = Annotated[
    Optional[list[str]],
    option(
        MEASUREMENT,
        "--input",
        metavar="N,C,H,W",
        help=f"{_SHAPE}. Repeated without a name: sizes to time.",
    ),
]
Engine = Annotated[
    str,
    option(
        MEASUREMENT,
        "--engine",
        help=f"What runs the networks: {', '.join(_all_engines())}; several with commas, or "
        f"{ALL_ENGINES}.",
        autocompletion=completion.engines,
    ),
]
ExportEngine = Annotated[
    str,
    typer.Option(
        "--engine", help=f"{_exporting_engines()}.", autocompletion=completion.exporting_engines
    ),
]
Threads = Annotated[
    str, option(MEASUREMENT, "--threads", metavar="N", help="CPU threads; 1,2 measures both.")
]
Batch = Annotated[
    Optional[str],
    option(
        MEASUREMENT,
        "--batch",
        metavar="N",
        help="Images in an input; 1,8 measures both (default: that of --input).",
    ),
]
Tune = Annotated[
    bool,
    option(
        MEASUREMENT, "--tune", help="Measure first which form of each layer is fastest (remembered)."
    ),
]
OnlyFaster = Annotated[
    bool,
    option(
        MEASUREMENT,
        "--only-faster",
        help="Keep the dense convolution where no form is faster; measures like --tune.",
    ),
]
Device = Annotated[str, option(MEASUREMENT, "--device", help="cpu or gpu:0.")]
Arch = Annotated[
    Optional[str],
    typer.Option(
        "--arch",
        metavar="NAME",
        help="Its network: a name, or package.module:factory (default: found from its keys).",
        autocompletion=completion.architectures,
    ),
]
Weights = Annotated[
    Optional[str],
    typer.Option("--weights", metavar="PREFIX", help="Take a checkpoint's keys with this prefix alone."),
]
Ignore = Annotated[
    Optional[list[str]],
    typer.Option("--ignore", metavar="GLOB", help="Leave out a checkpoint's keys; repeatable."),
]
Format = Annotated[
    str,
    option(OUTPUT, "--format", help="table, json, csv or md.", autocompletion=completion.formats),
]
PerLayer = Annotated[bool, option(OUTPUT, "--per-layer", help="A line for every convolution.")]
Plot = Annotated[
    Optional[Path],
    option(
        OUTPUT, "--plot", metavar="F.png", parser=parse_file, help="Draw MACs per layer into a file."
    ),
]
Force = Annotated[bool, option(OUTPUT, "--force", "-f", help="Replace existing files.")]
Quiet = Annotated[bool, option(OUTPUT, "--quiet", "-q", help="No progress and no notes.")]
Debug = Annotated[bool, option(OUTPUT, "--debug", help="Show the traceback of an error.")]
