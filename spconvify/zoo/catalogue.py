"""The catalogue: every architecture by name, with what its constructor takes. Needs no Paddle."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spconvify.errors import ArgumentError, Option

USE_ARCH = ("for a network of your own use ", Option("model_or_arch", "package.module:factory"))

_VISION = """
    resnet18 resnet34 resnet50 resnet101 resnet152
    resnext50_32x4d resnext50_64x4d resnext101_32x4d resnext101_64x4d resnext152_32x4d resnext152_64x4d
    wide_resnet50_2 wide_resnet101_2
    vgg11 vgg13 vgg16 vgg19
    mobilenet_v1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large
    densenet121 densenet161 densenet169 densenet201 densenet264
    alexnet googlenet
    shufflenet_v2_x0_25 shufflenet_v2_x0_33 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5
    shufflenet_v2_x2_0 shufflenet_v2_swish
"""


@dataclass(frozen=True)
class Entry:
    """How an architecture is built, and what it is for when nobody says otherwise."""

    constructor: str
    module: str = "paddle.vision.models"
    options: Mapping[str, Any] = field(default_factory=dict)
    num_classes: int = 1000
    in_channels: int = 3
    size: int = 224
    headless: bool = True  # whether 0 classes builds the trunk alone
    width: int | None = None  # of its first stage, where a checkpoint may have any


def _cifar(name: str) -> Entry:
    return Entry(name, module="spconvify.zoo.cifar", num_classes=10, size=32, headless=False)


# Where two entries have the same parameters, the one that comes first is taken.
CATALOGUE: dict[str, Entry] = {
    **{name: Entry(name) for name in _VISION.split()},
    **{f"vgg{n}_bn": Entry(f"vgg{n}", options={"batch_norm": True}) for n in (11, 13, 16, 19)},
    **{name: Entry(name, headless=False) for name in ("squeezenet1_0", "squeezenet1_1")},
    "inception_v3": Entry("inception_v3", size=299),
    "LeNet": Entry("LeNet", num_classes=10, in_channels=1, size=28),
    **{name: _cifar(name) for name in ("resnet20", "resnet56", "vgg16_cifar")},
    "resnet18_small": replace(_cifar("resnet18_small"), in_channels=1, size=28, width=32),
}


def names() -> list[str]:
    """Every architecture known by name: those of ``paddle.vision.models``, and ours."""
    return list(CATALOGUE)


def entry(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        ArgumentError: if there is none; it gives the nearest names.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    raise ArgumentError(f"architecture {name!r} is unknown; {_suggestion(name)}; ", *USE_ARCH)


def near(name: str, known: list[str]) -> list[str]:
    """Up to three of the `known` names that look like `name`, upper and lower case alike."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    return [by_lower[match] for match in difflib.get_close_matches(name.lower(), by_lower, 3, 0.6)]


def _suggestion(name: str) -> str:
    nearest = near(name, names())
    if nearest:
        return f"did you mean {' or '.join(nearest)}?"
    return f"known are {', '.join(names())}"
