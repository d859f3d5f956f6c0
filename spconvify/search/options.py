"""What may become of one convolution: it stays dense, or an SPConv takes its place."""

from __future__ import annotations

from typing import Any

from spconvify.operators import registry
from spconvify.operators.spconv.eligibility import MIN_IN_CHANNELS
from spconvify.operators.spconv.settings import SPConvSettings, representative_channels
from spconvify.search.structure import Slot

# Settings of SPConv that are worth trying: of equal cost, more groups beat fewer channels in a network.
SETTINGS = tuple(
    SPConvSettings(ratio, groups, "sum")
    for ratio, groups in ((0.5, 2), (0.5, 1), (0.25, 2), (0.25, 1), (0.125, 2))
)
DENSE = None
_ADDITIONS = 3  # for an element of the output: of three convolutions' outputs and of an intercept


def options(slot: Slot) -> list[Any]:
    """Of a slot: None for the dense convolution, and settings of what can take its place."""
    operator = registry.find(registry.DEFAULT)
    fitting = [settings for settings in SETTINGS if not operator.why_not(slot.conv, settings)]
    return [DENSE, *(fitting if slot.replaceable else [])]


def fits(option: Any, inputs: int, outputs: int) -> bool:
    """Whether it can be had with so many channels."""
    if option is DENSE:
        return True
    return outputs % option.groups == 0 and inputs >= max(MIN_IN_CHANNELS, option.groups + 1)


def macs(slot: Slot, option: Any, inputs: int, outputs: int) -> int:
    """Multiply-accumulates of a slot with so many channels, as `spconvify.cost` counts them."""
    per_position = slot.taps * inputs * outputs
    if option is not DENSE:
        kept = representative_channels(inputs, option.ratio, option.groups)
        per_position = kept * slot.taps * outputs // option.groups + inputs * outputs
        # What an SPConv does besides: its parts are added, and where it strides its inputs are pooled.
        per_position += _ADDITIONS * outputs
        stride = slot.conv._stride[0]
        per_position += inputs * stride**2 if stride > 1 else 0
    return per_position * slot.positions
