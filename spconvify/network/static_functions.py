"""Functions under ``paddle.jit.to_static``: run them as they were written, forget their programs."""

from __future__ import annotations

import contextlib
import gc
import importlib
from collections.abc import Iterator
from typing import Any

import paddle
from paddle import nn

_module: Any = importlib.import_module("paddle.jit.dy2static.program_translator")
StaticFunction: Any = _module.StaticFunction
# Where programs of functions that were traced piece by piece (full_graph=False) are remembered.
_SOT_CACHES = (
    ("opcode_translator.executor.executor_cache", "OpcodeExecutorCache"),
    ("symbolic.compile_cache", "CompileSIRCache"),
)


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Let decorated functions run as plain Python inside the block, whatever they're traced into.

    A program hides its operators, and it keeps the layers that it was traced with. Where something else
    is being traced, the functions do what they always do. Not for use from several threads.
    """
    call = StaticFunction.__call__

    def plain(function: Any, *args: Any, **kwargs: Any) -> Any:
        if paddle.in_dynamic_mode():
            return function._call_dygraph_function(*args, **kwargs)
        return call(function, *args, **kwargs)

    StaticFunction.__call__ = plain
    try:
        yield
    finally:
        StaticFunction.__call__ = call


def forget_programs(model: nn.Layer) -> None:
    """Make every decorated function trace anew that may have been traced with the layers of `model`.

    Those of its own layers, and those that belong to no layer.
    """
    layers = {id(layer) for layer in model.sublayers(include_self=True)}
    for function in [item for item in gc.get_objects() if isinstance(item, StaticFunction)]:
        instance = _instance(function)
        if instance is None or id(instance) in layers:
            function._program_cache = _module.ProgramCache()
    for name, cache in _SOT_CACHES:
        with contextlib.suppress(ImportError, AttributeError):
            getattr(importlib.import_module(f"paddle.jit.sot.{name}"), cache)().clear()


def is_static_call(layer: nn.Layer) -> bool:
    """Whether ``paddle.jit.to_static`` was called on `layer` itself, not on its class's forward."""
    return isinstance(vars(layer).get("forward"), StaticFunction)


def forward_was_replaced(layer: nn.Layer) -> bool:
    """Whether somebody gave `layer` a forward of its own.

    Tracing does that too, with the class's forward, or with what Paddle made of that one.
    """
    own = vars(layer).get("forward")
    if own is None:
        return False
    usual = type(layer).forward
    function = getattr(own, "__func__", None)
    if getattr(own, "__self__", None) is not layer or function is None:
        return True
    return function is not usual and function is not _module.convert_to_static(usual)


def _instance(function: Any) -> Any:
    """The layer that a decorated function is bound to; Paddle 3 has a weak reference to it."""
    instance = function._class_instance
    return instance if instance is None or isinstance(instance, nn.Layer) else instance()
