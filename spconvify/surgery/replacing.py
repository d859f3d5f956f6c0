"""Make the layer that takes a convolution's place: dtype, device, mode and parameter settings stay."""

from __future__ import annotations

from typing import Any, Callable

from paddle.utils import unique_name

from spconvify.network.own_attributes import carry_attributes
from spconvify.network.placement import default_dtype, move_beside
from spconvify.network.replacement import Replacement
from spconvify.operators import registry
from spconvify.operators.base import Operator


def replacement(conv: Any, settings: Any, name: str, start: Callable[..., None]) -> Replacement:
    """The layer with these settings that takes the place of the Conv2D `conv`.

    Args:
        conv: the convolution.
        settings: those of an operator that is registered.
        name: of the site.
        start: gives the layer its first weights; called with (operator, layer, conv).
    """
    operator = registry.of_settings(settings)
    with default_dtype(conv.weight.dtype):
        new = operator.build(conv, settings)
    if conv.weight._is_initialized():  # not under LazyGuard
        move_beside(new, conv.weight)
    start(operator, new, conv)
    _inherit(operator, new, conv, name)
    carry_attributes(conv, new)
    return new


def _inherit(operator: Operator, new: Replacement, conv: Any, name: str) -> None:
    """Give the new parameters the mode and the ParamAttr settings of the old ones.

    They get fresh names: a network may have been built under a name guard of its own, and an
    optimizer keeps its state by parameter name.
    """
    for layer in new.sublayers(include_self=True):
        layer.training = conv.training
    biases = operator.bias_keys() if conv.bias is not None else ()
    for key, parameter in new.named_parameters():
        parameter.name = unique_name.generate(f"{name or 'root'}.{key}")
        if not parameter.trainable:  # a BatchNorm's statistics
            continue
        old = conv.bias if key in biases else conv.weight
        parameter.trainable = old.trainable
        parameter.optimize_attr = dict(old.optimize_attr)
        parameter.regularizer = old.regularizer
        parameter.need_clip = old.need_clip
