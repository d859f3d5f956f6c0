"""The operators by name, by layer, by settings and by what they leave in a checkpoint. Needs no Paddle.

To add one: a folder (or a module, anywhere) with an `Operator`, and a line in `_BUILT_IN` or a call of
`register`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spconvify.errors import ArgumentError
from spconvify.operators.base import Operator
from spconvify.operators.recognised import Recognised, Shapes, join

DEFAULT = "spconv"
_BUILT_IN = {"spconv": "spconvify.operators.spconv.operator"}  # name -> the module with its OPERATOR
_registered: dict[str, Operator] = {}


def register(operator: Operator) -> Operator:
    """Make an operator known, under its name; one registered before under that name is replaced."""
    if operator.name in _BUILT_IN:
        raise ArgumentError(f"operator {operator.name!r} is spconvify's own; choose another name")
    _registered[operator.name] = operator
    return operator


def operators() -> list[Operator]:
    """All of them, the package's own first."""
    own = [import_module(module).OPERATOR for module in _BUILT_IN.values()]
    return [*own, *_registered.values()]


def find(name: str) -> Operator:
    """The operator of that name.

    Raises:
        ArgumentError: names those that there are.
    """
    for operator in operators():
        if operator.name == name:
            return operator
    known = ", ".join(operator.name for operator in operators())
    raise ArgumentError(f"operator {name!r} is unknown; there are: {known}")


def operator_of(layer: Any) -> Operator | None:
    """The operator whose layer this is; None for any other layer, fused ones too."""
    return next((known for known in operators() if type(layer) is known.layer), None)


def of_settings(settings: Any) -> Operator:
    """The operator that has such settings.

    Raises:
        ArgumentError: if none has.
    """
    for operator in operators():
        if type(settings) is operator.settings:
            return operator
    raise ArgumentError(f"{type(settings).__name__} are the settings of no operator that is registered")


def recognised(shapes: Shapes) -> dict[str, Recognised]:
    """Every replaced convolution in a state dict, by the name of its site; "" is the root itself.

    Args:
        shapes: structured name -> shape of every parameter and buffer.

    Raises:
        CheckpointError: if the keys of a site are incomplete, or their shapes don't fit each other.
    """
    found: dict[str, Recognised] = {}
    for operator in reversed(operators()):
        found.update(operator.recognise(shapes))
    return found


def dense_shapes(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The shapes before the conversion: a replaced convolution is ``SITE.weight`` (L, C, 3, 3) again.

    Whether the original convolution had a bias can't be told: there is none in the result.

    Raises:
        CheckpointError: see `recognised`.
    """
    dense = dict(shapes)
    for site, layer in recognised(shapes).items():
        for key in layer.keys:
            del dense[join(site, key)]
        dense[join(site, "weight")] = (layer.out_channels, layer.in_channels, 3, 3)
    return dense
