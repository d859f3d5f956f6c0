"""Fold BatchNorm into the convolution before it: same outputs, one layer less."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.network.edges import walk
from spconvify.network.norms import bias_of, gain_and_offset, set_value, to_float64
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.surgery.sites import has_hooks


def foldable(model: nn.Layer) -> dict[str, nn.Layer]:
    """Every Conv2D and SPConv2D without hooks, once, by its first name."""
    found: dict[int, tuple[str, nn.Layer]] = {}
    for edge in walk(model):
        if type(edge.layer) in (nn.Conv2D, SPConv2D) and not has_hooks(edge.layer):
            found.setdefault(id(edge.layer), (edge.name, edge.layer))
    return dict(found.values())


def fold_into_convolution(conv: Any, norm: Any) -> None:
    """Give a Conv2D the weights and the bias that make `norm` behind it superfluous."""
    gain, offset = gain_and_offset(norm)
    weight = to_float64(conv.weight) * gain[:, None, None, None]
    bias = bias_of(conv, len(gain)) * gain + offset
    set_value(conv.weight, weight)
    if conv.bias is None:
        conv.bias = conv.create_parameter([len(gain)], dtype=conv.weight.dtype, is_bias=True)
        conv.bias.stop_gradient = conv.weight.stop_gradient
    set_value(conv.bias, bias)
