"""The layers that stand in a convolution's place: where everything that walks a network stops."""

from __future__ import annotations

from typing import Any

from spconvify.network.integer_buffer import KeepsIntegers
from spconvify.network.layers import OneInput


class ReplacedConvError(AttributeError):
    """Somebody reads an attribute of the convolution that a replacement took the place of."""

    def __init__(self, layer: Replacement, attribute: str):
        super().__init__(f"{type(layer).__name__!r} object has no attribute {attribute!r}")
        self.layer, self.attribute = layer, attribute


class Replacement(KeepsIntegers, OneInput):
    """What stands in a convolution's place. What is inside of it is nobody's site.

    Attributes:
        in_channels: C.
        out_channels: L.
        stride: of the convolution, the same along both axes.
        data_format: "NCHW" or "NHWC".
        called: what messages call it, with an article.
    """

    called = "a replaced convolution"
    in_channels: int
    out_channels: int
    stride: int
    data_format: str

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            raise ReplacedConvError(self, name) from error


class FusedReplacement(Replacement):
    """A replacement that was folded and laid out for an engine: eval mode only, and final.

    Attributes:
        form: how it is laid out, by the name that `fuse(forms=…)` takes.
    """

    form: str
