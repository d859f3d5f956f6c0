"""The options about images, which convert and recover share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

from spconvify.cli import completion
from spconvify.cli.options import IMAGES, option
from spconvify.cli.values import MOST_IMAGES
from spconvify.data.normalizations import NORMALIZATIONS

_STATISTICS = "Of pixels in 0..1 (or 0..255; default: the file's, ImageNet's, or grey 0.5)."

Calibration = Annotated[
    Optional[Path],
    option(
        IMAGES,
        "--calibration",
        metavar="PATH",
        help="Images to fit to: a folder, .npy or .npz.",
    ),
]
CalibrationCount = Annotated[
    Optional[int],
    option(
        IMAGES,
        "--calibration-count",
        min=1,
        max=MOST_IMAGES,
        help="How many of them to use, spread over all; a quarter is left out of the fit, to check it "
        "(default: 256).",
    ),
]
Eval = Annotated[
    Optional[str],
    option(
        IMAGES,
        "--eval",
        metavar="F.npz",
        help="Images and labels for accuracy before and after; or module:function, your own metric: it "
        "is called with each network and returns a number, or a dict of some.",
    ),
]
Kind = Annotated[
    Optional[list[str]],
    option(
        IMAGES,
        "--kind",
        metavar="[OUTPUT=]KIND",
        help="What an output is, where the agreement judges it wrongly: classes, steps, map, mask, "
        "image, values or labels; repeatable.",
    ),
]
Resize = Annotated[
    Optional[str],
    option(
        IMAGES,
        "--resize",
        metavar="H,W",
        help="Size of the images (default: the input's for pictures, their own for arrays).",
    ),
]
Mean = Annotated[
    Optional[str],
    option(
        IMAGES,
        "--mean",
        help=_STATISTICS,
    ),
]
Std = Annotated[
    Optional[str],
    option(
        IMAGES,
        "--std",
        help=_STATISTICS,
    ),
]
Bgr = Annotated[
    bool,
    option(
        IMAGES,
        "--bgr",
        help="The network takes blue first: turn the images' channels around; --mean and --std are in "
        "its order.",
    ),
]
Normalize = Annotated[
    Optional[str],
    option(
        IMAGES,
        "--normalize",
        metavar="NAME",
        help=f"Mean, std and order of a family: {', '.join(NORMALIZATIONS)}.",
        autocompletion=completion.normalizations,
    ),
]
Seed = Annotated[
    Optional[int],
    option(
        IMAGES,
        "--seed",
        min=0,
        help="Of the images and the positions that are sampled (default: 0).",
    ),
]
