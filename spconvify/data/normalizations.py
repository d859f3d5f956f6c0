"""Mean and std by the names of those who train with them, for pixels in 0..1.

Needs neither Paddle nor NumPy, whose threads would come too early: the command line's options are here.
"""

from __future__ import annotations

from dataclasses import dataclass

from spconvify.errors import ArgumentError, Option

Numbers = tuple[float, ...]
# What networks trained on ImageNet expect, for values in [0, 1].
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_HALF = (0.5,)


@dataclass(frozen=True)
class Normalization:
    """Mean and std per channel, or one for all, in the network's order; `bgr`: that has blue first."""

    mean: Numbers
    std: Numbers
    bgr: bool = False


NORMALIZATIONS = {
    # paddle.vision, PaddleClas, PicoDet and most of PaddleDetection
    "imagenet": Normalization(IMAGENET_MEAN, IMAGENET_STD),
    # values in 0..1, as PP-YOLOE takes them
    "none": Normalization((0.0,), (1.0,)),
    # PaddleSeg's default
    "paddleseg": Normalization(_HALF, _HALF),
    # ImageNet's numbers on pictures as OpenCV reads them, in their order
    "paddleocr-det": Normalization(IMAGENET_MEAN, IMAGENET_STD, bgr=True),
    # recognisers, and classifiers of a line's direction
    "paddleocr-rec": Normalization(_HALF, _HALF, bgr=True),
}


def find(name: str) -> Normalization:
    """The one of that name.

    Raises:
        ArgumentError: for an unknown name, with the known ones.
    """
    if name not in NORMALIZATIONS:
        raise ArgumentError(
            Option("normalize", name), f" is unknown; use one of: {', '.join(NORMALIZATIONS)}"
        )
    return NORMALIZATIONS[name]
