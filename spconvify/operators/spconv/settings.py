"""How one convolution becomes an SPConv: the settings, their defaults and limits. Needs no Paddle."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

from spconvify.errors import ArgumentError

FUSIONS = ("sum", "gap")
DEFAULT_RATIO = 0.5
DEFAULT_GROUPS = 2
DEFAULT_FUSION = "sum"  # faster in every engine that was measured; the paper's is "gap"
MOST_GROUPS = 1 << 20


@dataclass(frozen=True)
class SPConvSettings:
    """How one convolution is replaced.

    `bias` None keeps a bias where the convolution has one and there is a place for it (`sum`);
    `reorder` adds the `channels` buffer, a permutation of the input channels.
    """

    ratio: float = DEFAULT_RATIO
    groups: int = DEFAULT_GROUPS
    fusion: str = DEFAULT_FUSION
    bias: bool | None = None
    reorder: bool = False

    def check(self) -> None:
        """Refuse what fits no convolution at all.

        Raises:
            ArgumentError: for a ratio outside (0, 1), groups < 1, an unknown fusion, or a value that is
                of another type, as those of a plan file may be.
        """
        check_numbers(self.ratio, self.groups)
        if not isinstance(self.fusion, str) or self.fusion not in FUSIONS:
            raise ArgumentError(f"fusion {self.fusion!r} is unknown; use one of: {', '.join(FUSIONS)}")
        if self.bias is not None and not isinstance(self.bias, bool):
            raise ArgumentError(f"bias {self.bias!r} isn't true, false or null")
        if not isinstance(self.reorder, bool):
            raise ArgumentError(f"reorder {self.reorder!r} isn't true or false")


def check_numbers(ratio: Any, groups: Any) -> None:
    """Refuse what isn't a ratio and a number of groups at all.

    Raises:
        ArgumentError: names the value.
    """
    if not _is_number(ratio, Real):
        raise ArgumentError(f"ratio {ratio!r} isn't a number")
    if not 0 < ratio < 1:
        text = ratio if isinstance(ratio, Integral) else f"{ratio:g}"  # an int may be past all floats
        raise ArgumentError(f"ratio {text} isn't inside (0, 1); 0.5 keeps half of the channels 3x3")
    if not _is_number(groups, Integral):
        raise ArgumentError(f"groups {groups!r} isn't a whole number")
    if groups < 1:
        raise ArgumentError(f"groups {groups} is less than 1; the paper uses 2")
    if groups > MOST_GROUPS:
        raise ArgumentError(f"groups {groups} is more than {MOST_GROUPS}, and so than any channels")


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def representative_channels(in_channels: int, ratio: float, groups: int) -> int:
    """How many of `in_channels` are representative: ratio x in_channels, as a multiple of `groups`.

    At least `groups` and at most ``in_channels - 1``, since both parts need a channel.

    Raises:
        ArgumentError: if the ratio isn't inside (0, 1), groups < 1, or no multiple of `groups` fits.
    """
    check_numbers(ratio, groups)
    largest = (in_channels - 1) // groups * groups
    if largest < groups:
        raise ArgumentError(
            f"{in_channels} input channels can't be split into {groups} groups of representative "
            "channels and an uncertain rest"
        )
    return max(groups, min(largest, int(ratio * in_channels / groups + 0.5) * groups))
