"""Run a network for our own purposes and leave no trace on it."""

from __future__ import annotations

import contextlib
import random
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np
import paddle
from paddle import nn

_Restore = Callable[[], None]
_CONTAINERS = (dict, list, set, deque)
_PLAIN = frozenset({type(None), bool, int, float, str, types.FunctionType, paddle.Tensor})  # most values
_SMALL = 2**16  # elements: a statistic or a state, not a weight


@contextlib.contextmanager
def untouched(model: nn.Layer, random_states: bool = True) -> Iterator[None]:
    """Everything of `model` is afterwards as it was, whatever the block's forward passes did to it.

    Attributes, sub-layers, buffers and hooks of every layer, registered or not; lists, dictionaries,
    sets and objects in its attributes; the values of buffers and of statistics; Paddle's, NumPy's and
    Python's random states. Not what a closure or a global variable holds, nor weights that are trained.

    Args:
        model: the network.
        random_states: off where another run has to draw other numbers, which tells a noisy network.
    """
    layers = {id(layer): layer for layer in model.sublayers(include_self=True)}
    restores = _containers(layers)
    restores += [*_values(layers.values()), *(_random_states() if random_states else ())]
    try:
        yield
    finally:
        for restore in restores:
            restore()


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """Paddle's, NumPy's and Python's random states are afterwards as they were."""
    restores = list(_random_states())
    try:
        yield
    finally:
        for restore in restores:
            restore()


def _containers(layers: dict[int, nn.Layer]) -> list[_Restore]:
    """Restore the contents of everything that is reached from the layers' attributes, in place.

    Layers that are registered nowhere, as a teacher in a list, are added to `layers`.
    """
    restores: list[_Restore] = []
    seen: set[int] = set()
    # With whether an object's own attributes are looked at too: one deep, a logger leads to everything.
    waiting: list[tuple[Any, bool]] = [(vars(layer), True) for layer in layers.values()]
    while waiting:
        value, into_objects = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        inside: Any = ()
        if isinstance(value, _CONTAINERS):
            restores.append(_restore(value) if value else value.clear)
            inside = value.values() if isinstance(value, dict) else value
        elif isinstance(value, (tuple, frozenset)):
            inside = value
        elif isinstance(value, nn.Layer):
            layers.setdefault(id(value), value)
            waiting.append((vars(value), into_objects))
        elif into_objects and _is_the_users(value):
            waiting.append((vars(value), False))
        waiting += [(item, into_objects) for item in inside if type(item) not in _PLAIN]
    return restores


def _is_the_users(value: Any) -> bool:
    """Whether it is an object with attributes in which somebody's network may keep something."""
    kind = type(value)
    foreign = {"builtins", "numpy", "paddle", *getattr(sys, "stdlib_module_names", ())}
    has_attributes = isinstance(getattr(value, "__dict__", None), dict)
    return has_attributes and not issubclass(kind, type) and kind.__module__.split(".")[0] not in foreign


def _restore(container: Any) -> _Restore:
    contents = dict(container) if isinstance(container, dict) else list(container)

    def restore() -> None:
        container.clear()
        (container.extend if isinstance(container, (list, deque)) else container.update)(contents)

    return restore


def _values(layers: Iterable[nn.Layer]) -> Iterator[_Restore]:
    for layer in layers:
        frozen = [p for p in layer._parameters.values() if p is not None and not p.trainable]
        small = [p for p in frozen if p._is_initialized() and p.size <= _SMALL]
        for tensor in [*small, *layer._buffers.values()]:
            if isinstance(tensor, paddle.Tensor) and tensor._is_initialized():
                yield _restore_value(tensor, tensor.numpy())


def _restore_value(tensor: paddle.Tensor, value: np.ndarray) -> _Restore:
    value = value.copy()

    def restore() -> None:
        if not np.array_equal(tensor.numpy(), value, equal_nan=value.dtype.kind == "f"):
            tensor.set_value(value)

    return restore


def _random_states() -> Iterator[_Restore]:
    yield partial(paddle.set_rng_state, paddle.get_rng_state())
    yield partial(np.random.set_state, np.random.get_state())
    yield partial(random.setstate, random.getstate())
