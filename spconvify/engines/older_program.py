"""Trace a network into a program of Paddle's older representation (.pdmodel), on Paddle 3 too."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import paddle
from paddle import nn

from spconvify.engines import tracing
from spconvify.engines.feeds import Shapes


@dataclass(frozen=True)
class _Older:
    """One of Paddle 2's operators that Paddle 3 traces into its new representation only.

    Attributes:
        name: what it is called.
        slots: of its inputs, in order.
        arguments: of the newer function behind the inputs: (keyword, the older attribute, its default).
        dtype: of the result, where it isn't the first input's.
    """

    name: str
    slots: tuple[str, ...] = ("X",)
    arguments: tuple[tuple[str, str, Any], ...] = ()
    dtype: str | None = None


_UNARY = (
    "abs", "ceil", "cos", "erf", "exp", "floor", "log", "round", "rsqrt", "sigmoid", "sign", "sin",
    "sqrt", "tanh",
)  # fmt: skip
_BINARY = {"multiply": "elementwise_mul", "maximum": "elementwise_max", "minimum": "elementwise_min"}
_PAIR = ("X", "Y")
_OLDER = {
    **{name: _Older(name) for name in _UNARY},
    **{name: _Older(older, _PAIR) for name, older in _BINARY.items()},
    **{
        name: _Older(name, _PAIR, dtype="bool") for name in ("greater_than", "logical_and", "logical_or")
    },
    "bmm": _Older("bmm", _PAIR),
    "matmul": _Older(
        "matmul_v2", _PAIR, (("transpose_x", "trans_x", False), ("transpose_y", "trans_y", False))
    ),
    "gelu": _Older("gelu", arguments=(("approximate", "approximate", False),)),
    "softplus": _Older("softplus", arguments=(("beta", "beta", 1.0), ("threshold", "threshold", 20.0))),
}


def write(network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
    """Export `network` in eval mode for one input shape, as .pdmodel; the network comes back unchanged.

    A batch of -1 in `input_shape` makes files that take any.

    Raises:
        EngineError: if it can't be traced into a static program; names the line.
    """
    pir: Any = importlib.import_module("paddle.pir_utils")
    with pir.DygraphOldIrGuard(), _older_operators():
        tracing.write(network, folder, input_shape)


@contextlib.contextmanager
def _older_operators() -> Iterator[None]:
    """Trace `_OLDER` as operators of the older representation, from whatever module they are called."""
    older = {
        id(getattr(paddle._C_ops, name)): _older(name, operator)
        for name, operator in _OLDER.items()
        if hasattr(paddle._C_ops, name)
    }
    modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == "paddle"]
    patched = []
    try:
        for module in modules:
            for attribute, value in list(vars(module).items()):
                if id(value) in older:
                    setattr(module, attribute, older[id(value)])
                    patched.append((module, attribute, value))
        yield
    finally:
        for module, attribute, value in reversed(patched):
            setattr(module, attribute, value)


def _older(name: str, operator: _Older) -> Callable[..., Any]:
    helper_type: Any = importlib.import_module("paddle.base.layer_helper").LayerHelper
    usual = getattr(paddle._C_ops, name)
    places = [*map(str.lower, operator.slots), *(keyword for keyword, _, _ in operator.arguments)]

    def traced(*args: Any, **kwargs: Any) -> Any:
        if paddle.in_dynamic_mode():
            return usual(*args, **kwargs)
        given = {**dict(zip(places, args)), **kwargs}
        inputs = {slot: given[slot.lower()] for slot in operator.slots}
        attrs = {old: given.get(keyword, default) for keyword, old, default in operator.arguments}
        helper = helper_type(operator.name)
        output = helper.create_variable_for_type_inference(operator.dtype or inputs["X"].dtype)
        helper.append_op(type=operator.name, inputs=inputs, outputs={"Out": output}, attrs=attrs)
        return output

    return traced
