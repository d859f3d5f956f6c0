"""Fold BatchNorm into the convolution before it: same outputs, one layer less."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.network.edges import walk
from spconvify.network.norms import bias_of, gain_and_offset, set_value, to_float64
from spconvify.network.replacement import Replacement
from spconvify.operators.forms import Forms
from spconvify.operators.registry import operator_of
from spconvify.surgery.sites import has_hooks


def forms_of(layer: nn.Layer) -> Forms | None:
    """How `layer` is deployed, if it is an operator's, and that lays its layers out."""
    operator = operator_of(layer) if isinstance(layer, Replacement) else None
    return None if operator is None else operator.forms


def foldable(model: nn.Layer) -> dict[str, nn.Layer]:
    """Every Conv2D, and every layer that has forms, without hooks, once, by its first name."""
    found: dict[int, tuple[str, nn.Layer]] = {}
    for edge in walk(model):
        can_be = type(edge.layer) is nn.Conv2D or forms_of(edge.layer) is not None
        if can_be and not has_hooks(edge.layer):
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
