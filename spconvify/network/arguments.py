"""How a network takes several tensors: one by one, by keyword, or together in a list or dictionary."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from spconvify.network.static_functions import StaticFunction

_Parameter = inspect.Parameter
_ONE_BY_ONE = (_Parameter.POSITIONAL_ONLY, _Parameter.POSITIONAL_OR_KEYWORD)


def spread(value: Any, model: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """`value` as the arguments of the network's forward, positional and by keyword.

    A dictionary goes by keyword if forward has parameters of all its names; otherwise it is one
    argument. A list or tuple goes one by one if forward takes as many tensors; otherwise it is one
    argument. A parameter whose default is a number or a text takes no tensor. Without a network a list
    goes one by one, and a dictionary is one argument.
    """
    if isinstance(value, Mapping):
        return ((), dict(value)) if _has_names(model, value) else ((value,), {})
    if isinstance(value, (list, tuple)):
        return (tuple(value), {}) if _takes(model, len(value)) else ((value,), {})
    return (value,), {}


def positional_names(model: Any, count: int) -> list[str]:
    """What forward calls its first `count` arguments; x0, x1 … where it has no names for them."""
    signature = parameters_of(model)
    known = [] if signature is None else [p.name for p in _one_by_one(signature)]
    known = _own_names(model) or known
    return [*known[:count], *(f"x{index}" for index in range(len(known), count))]


def _own_names(model: Any) -> list[str]:
    """What the network itself calls its inputs (its `input_names`), if it says so."""
    names = getattr(model, "input_names", ())
    return list(names) if isinstance(names, (list, tuple)) else []


def _has_names(model: Any, value: Mapping[Any, Any]) -> bool:
    own = _own_names(model)
    if own:
        return set(value) <= set(own)
    signature = parameters_of(model)
    if signature is None or not all(isinstance(key, str) for key in value):
        return False
    try:
        signature.bind(**value)
    except TypeError:
        return False
    return True


def _takes(model: Any, count: int) -> bool:
    signature = parameters_of(model)
    if signature is None:
        return True
    if any(p.kind is _Parameter.VAR_POSITIONAL for p in signature.parameters.values()):
        return True
    parameters = _one_by_one(signature)
    needed = sum(p.default is _Parameter.empty for p in parameters)
    most = next((i for i, p in enumerate(parameters) if not _may_be_a_tensor(p)), len(parameters))
    return needed <= count <= most


def _may_be_a_tensor(parameter: inspect.Parameter) -> bool:
    return not isinstance(parameter.default, (bool, int, float, str))


def _one_by_one(signature: inspect.Signature) -> Sequence[inspect.Parameter]:
    return [p for p in signature.parameters.values() if p.kind in _ONE_BY_ONE]


def parameters_of(model: Any) -> inspect.Signature | None:
    """Of the network's forward, without `self`; None if it has none that can be told."""
    forward = getattr(model, "forward", None)
    if isinstance(forward, StaticFunction):
        forward = forward.dygraph_function
    try:
        return inspect.signature(forward) if callable(forward) else None
    except (TypeError, ValueError):
        return None
