"""The options that commands share, and how their texts are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Optional

import typer

from spconvify.errors import ArgumentError

# More is a slip of the finger: it would be found out after minutes, or by the machine's memory.
MOST_THREADS, MOST_IMAGES, MOST_SEED = 1024, 1 << 20, (1 << 32) - 1
_MOST_BATCH, _MOST_PIXELS, _MOST_ELEMENTS = 1 << 16, 1 << 16, (1 << 31) - 1
CONVERSION, IMAGES, MEASUREMENT, OUTPUT = "Conversion", "Images", "Measurement", "Output"
ALL_ENGINES = "all"
_STATISTICS = "Of pixels in 0..1 (or 0..255; default: the file's, ImageNet's, or grey 0.5)."


def _option(panel: str, *names: str, help: str, **more):
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


Ratio = Annotated[
    float,
    _option(CONVERSION, "--ratio", help="Share of the input channels that keep a 3x3, in (0, 1)."),
]
Groups = Annotated[int, _option(CONVERSION, "--groups", help="Groups of that 3x3.")]
Fusion = Annotated[
    str, _option(CONVERSION, "--fusion", help="gap: the paper's gate; sum: one linear layer.")
]
Include = Annotated[
    Optional[list[str]],
    _option(CONVERSION, "--include", metavar="GLOB", help="Convert only layers that match; repeatable."),
]
Exclude = Annotated[
    Optional[list[str]],
    _option(CONVERSION, "--exclude", metavar="GLOB", help="Leave these layers alone; repeatable."),
]
RatioFor = Annotated[
    Optional[list[str]],
    _option(CONVERSION, "--ratio-for", metavar="GLOB=R", help="A ratio for these layers; repeatable."),
]
Calibration = Annotated[
    Optional[Path],
    _option(
        IMAGES,
        "--calibration",
        metavar="PATH",
        help="Images to fit to: a folder, .npy or .npz.",
    ),
]
CalibrationCount = Annotated[
    Optional[int],
    _option(
        IMAGES,
        "--calibration-count",
        min=1,
        max=MOST_IMAGES,
        help="How many of them to use, spread over all (default: 256).",
    ),
]
Eval = Annotated[
    Optional[Path],
    _option(IMAGES, "--eval", metavar="F.npz", help="Images and labels for accuracy before and after."),
]
Resize = Annotated[
    Optional[str],
    _option(
        IMAGES,
        "--resize",
        metavar="H,W",
        help="Size of the images (default: the input's for pictures, their own for arrays).",
    ),
]
Mean = Annotated[
    Optional[str],
    _option(
        IMAGES,
        "--mean",
        help=_STATISTICS,
    ),
]
Std = Annotated[
    Optional[str],
    _option(
        IMAGES,
        "--std",
        help=_STATISTICS,
    ),
]
Seed = Annotated[
    Optional[int],
    _option(
        IMAGES,
        "--seed",
        min=0,
        max=MOST_SEED,
        help="Of the images and the positions that are sampled (default: 0).",
    ),
]
Input = Annotated[
    Optional[str],
    _option(
        MEASUREMENT, "--input", metavar="N,C,H,W", help="Shape of the input (default: the network's)."
    ),
]
Engine = Annotated[
    str,
    _option(
        MEASUREMENT,
        "--engine",
        help="What runs the networks: inference, openvino, onnxruntime, eager, tensorrt, or all.",
    ),
]
Threads = Annotated[
    str, _option(MEASUREMENT, "--threads", metavar="N", help="CPU threads; 1,2 measures both.")
]
Batch = Annotated[
    Optional[str],
    _option(
        MEASUREMENT,
        "--batch",
        metavar="N",
        help="Images in an input; 1,8 measures both (default: that of --input).",
    ),
]
Tune = Annotated[
    bool,
    _option(
        MEASUREMENT, "--tune", help="Measure first which form of each layer is fastest (remembered)."
    ),
]
OnlyFaster = Annotated[
    bool,
    _option(
        MEASUREMENT,
        "--only-faster",
        help="Keep the dense convolution where no form is faster; measures like --tune.",
    ),
]
Device = Annotated[str, _option(MEASUREMENT, "--device", help="cpu or gpu:0.")]
Arch = Annotated[
    Optional[str],
    typer.Option(
        "--arch",
        metavar="NAME",
        help="Its network: a name, or package.module:factory (default: found from its keys).",
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
Format = Annotated[str, _option(OUTPUT, "--format", help="table, json, csv or md.")]
PerLayer = Annotated[bool, _option(OUTPUT, "--per-layer", help="A line for every convolution.")]
Plot = Annotated[
    Optional[Path], _option(OUTPUT, "--plot", metavar="F.png", help="Draw MACs per layer into a file.")
]
Force = Annotated[bool, _option(OUTPUT, "--force", "-f", help="Replace existing files.")]
Quiet = Annotated[bool, _option(OUTPUT, "--quiet", "-q", help="No progress and no notes.")]
Debug = Annotated[bool, _option(OUTPUT, "--debug", help="Show the traceback of an error.")]


def parse_ratios(texts: list[str] | None) -> dict[str, float]:
    """``["layer4.*=0.25"]`` -> ``{"layer4.*": 0.25}``.

    Raises:
        ArgumentError: if a text has another form.
    """
    ratios = {}
    for text in texts or []:
        glob, equals, number = text.rpartition("=")
        try:
            ratios[glob] = float(number)
        except ValueError:
            equals = ""
        if not equals or not glob:
            raise ArgumentError(f"--ratio-for {text!r} isn't GLOB=R; write it like 'layer4.*=0.25'")
    return ratios


def parse_shape(text: str | None, batch: int | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """``"1,3,224,224"`` -> ``(1, 3, 224, 224)``, with the batch and the default put in.

    Raises:
        ArgumentError: if the text has another form, or contradicts --batch.
    """
    shape = default
    if text is not None:
        try:
            shape = tuple(int(number) for number in text.replace("x", ",").split(","))
        except ValueError:
            shape = ()
        if len(shape) != 4 or min(shape) < 1:
            raise ArgumentError(f"--input {text!r} isn't a shape; write it like 1,3,224,224")
        if max(shape) > _MOST_PIXELS or math.prod(shape) > _MOST_ELEMENTS:
            raise ArgumentError(f"--input {text!r} is too large: no memory holds what it takes")
        if batch is not None and batch != shape[0]:
            raise ArgumentError(f"--batch {batch} contradicts --input {text}; give one of them")
    return shape if batch is None else (batch, *shape[1:])


def parse_threads(text: str) -> list[int]:
    """``"1,2"`` -> ``[1, 2]``; see `_counts`."""
    return _counts("--threads", text, MOST_THREADS)


def parse_batches(text: str) -> list[int]:
    """``"1,8"`` -> ``[1, 8]``; see `_counts`."""
    return _counts("--batch", text, _MOST_BATCH)


def _counts(option: str, text: str, most: int) -> list[int]:
    """Numbers with commas.

    Raises:
        ArgumentError: if the text has another form, or a number is less than 1 or more than `most`.
    """
    try:
        counts = [int(number) for number in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ArgumentError(f"{option} {text!r} isn't a number from 1 on; write it like 1 or 1,8")
    if max(counts) > most:
        raise ArgumentError(f"{option} {text!r} is more than {most}")
    return counts


def parse_numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    """``"0.5,0.5,0.5"`` -> ``(0.5, 0.5, 0.5)``.

    Raises:
        ArgumentError: if the text has another form.
    """
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(map(math.isfinite, numbers)):
        raise ArgumentError(f"{option} {text!r} isn't numbers; write it like 0.5,0.5,0.5")
    return numbers


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``"224"`` or ``"224,320"`` -> (H, W).

    Raises:
        ArgumentError: if the text has another form.
    """
    if text is None:
        return None
    try:
        numbers = [int(number) for number in text.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 1 or max(numbers) > _MOST_PIXELS:
        raise ArgumentError(f"--resize {text!r} isn't a size; write it like 224 or 224,320")
    return numbers[0], numbers[-1]


def check_format(name: str, formats: tuple[str, ...]) -> None:
    """Refuse an unknown output format.

    Raises:
        ArgumentError: with the known ones.
    """
    if name not in formats:
        raise ArgumentError(f"--format {name!r} is unknown; use one of: {', '.join(formats)}")
