"""Trace a network into a program of Paddle's older representation (.pdmodel), on Paddle 3 too."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import paddle
from paddle import nn

from spconvify.engines import tracing
from spconvify.engines.feeds import Shapes

# Paddle 3 traces these operators into its new representation only; they have no attributes.
_UNARY = ("abs", "cos", "erf", "exp", "floor", "log", "rsqrt", "sigmoid", "sin", "sqrt", "tanh")


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
    """Trace `_UNARY` as operators of the older representation, from whatever module they are called."""
    older = {
        id(getattr(paddle._C_ops, name)): _older(name) for name in _UNARY if hasattr(paddle._C_ops, name)
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


def _older(name: str) -> Callable[..., Any]:
    helper_type: Any = importlib.import_module("paddle.base.layer_helper").LayerHelper
    usual = getattr(paddle._C_ops, name)

    def operator(x: Any, *args: Any, **kwargs: Any) -> Any:
        if paddle.in_dynamic_mode():
            return usual(x, *args, **kwargs)
        helper = helper_type(name)
        output = helper.create_variable_for_type_inference(x.dtype)
        helper.append_op(type=name, inputs={"X": x}, outputs={"Out": output})
        return output

    return operator
