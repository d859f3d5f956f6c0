"""See every operator and layer that a forward pass runs, by watching Paddle's dygraph entry points."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable

import paddle
from paddle import _C_ops, nn

# Operators made of multiply-accumulates. Paddle's modules also import some of these by name.
MAC_OPERATORS = frozenset(
    {
        "addmm",
        "bmm",
        "conv2d",
        "conv2d_transpose",
        "conv3d",
        "conv3d_transpose",
        "deformable_conv",
        "depthwise_conv2d",
        "depthwise_conv2d_bias",
        "depthwise_conv2d_transpose",
        "dot",
        "einsum",
        "linear",
        "matmul",
        "mv",
    }
)
# Python's operators on tensors go straight to C++, past `_C_ops`.
_TENSOR_METHODS = {
    "__add__": "add",
    "__radd__": "add",
    "__sub__": "subtract",
    "__rsub__": "subtract",
    "__mul__": "multiply",
    "__rmul__": "multiply",
    "__truediv__": "divide",
    "__matmul__": "matmul",
    "__pow__": "pow",
}


@dataclass(frozen=True)
class Operation:
    """One call of an operator, as it returns."""

    name: str
    args: tuple
    kwargs: dict
    result: Any
    layers: tuple[nn.Layer, ...]  # the layers it ran in, outermost first


@contextlib.contextmanager
def watching(on_operation: Callable[[Operation], None]) -> Iterator[dict[int, nn.Layer]]:
    """Call `on_operation` after every operator that runs inside the block.

    Yields the layers that were called, by id. Nested blocks each see everything. Not for use from
    several threads: the entry points are patched for the whole process and restored at the end.
    """
    called: dict[int, nn.Layer] = {}
    stack: list[nn.Layer] = []

    def watched(name, function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            result = function(*args, **kwargs)
            on_operation(Operation(name, args, kwargs, result, tuple(stack)))
            return result

        return call

    def call_layer(layer, *args, **kwargs):
        called[id(layer)] = layer
        stack.append(layer)
        try:
            return layer_call(layer, *args, **kwargs)
        finally:
            stack.pop()

    layer_call = nn.Layer.__call__
    patched = []
    try:
        for owner, attribute, name in _entry_points():
            function = getattr(owner, attribute)
            setattr(owner, attribute, watched(name, function))
            patched.append((owner, attribute, function))
        nn.Layer.__call__ = call_layer
        yield called
    finally:
        nn.Layer.__call__ = layer_call
        for owner, attribute, function in reversed(patched):
            setattr(owner, attribute, function)


def _entry_points() -> list[tuple[Any, str, str]]:
    """(owner, attribute, operator name) of everything through which dygraph code runs an operator."""
    operators = {
        name: function
        for name, function in vars(_C_ops).items()
        if callable(function) and not name.startswith("_")
    }
    points = [(_C_ops, name, name) for name in operators]
    by_id = {id(operators[name]): name for name in MAC_OPERATORS if name in operators}
    for owner in [paddle.Tensor, *_paddle_modules()]:
        for attribute, value in list(vars(owner).items()):
            if id(value) in by_id:
                points.append((owner, attribute, by_id[id(value)]))
    return points + [(paddle.Tensor, method, name) for method, name in _TENSOR_METHODS.items()]


def _paddle_modules() -> list[Any]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name.split(".")[0] == "paddle" and module is not None and module is not _C_ops
    ]
