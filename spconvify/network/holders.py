"""What may hold a network's tensors: containers of every kind and people's own objects."""

from __future__ import annotations

import io
import sys
import types
from argparse import Namespace
from collections.abc import Iterator, Sequence, Set
from enum import Enum
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.structure import Parts, ends, parts_of

_HOLD_NOTHING = (
    str, bytes, bytearray, memoryview, range, int, float, complex, type(None), type, Enum, io.IOBase,
    types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, nn.Layer,
    paddle.Tensor,
)  # fmt: skip
# Objects of other modules are not looked into: a logger leads to everything.
_FOREIGN = {"builtins", "numpy", *getattr(sys, "stdlib_module_names", ("logging", "threading"))}


def everything() -> Callable[[Any], Parts]:
    """For one walk with `spconvify.network.structure.ends`: what a value holds.

    Lists, tuples, dictionaries and other sequences; slices; NumPy's arrays of objects; a set of one
    thing; the attributes of dataclasses, namespaces and objects of people's own classes, each object
    once. The walk raises an `ArgumentError` at an iterator, as a generator, which can be gone through
    only once, and at a set of several tensors, which have no order.
    """
    entered: set[int] = set()

    def parts(value: Any) -> Parts:
        if isinstance(value, _HOLD_NOTHING):
            return ()
        inside = _parts_of_container(value)
        if inside is not None:
            return inside
        if id(value) in entered or not _is_the_users(value):
            return ()
        entered.add(id(value))
        return _attributes(value)

    return parts


def _parts_of_container(value: Any) -> Parts | None:
    """What it holds, in an order that is the same every time; None for what is no container."""
    if isinstance(value, Iterator):
        raise ArgumentError(
            f"the network returns a {type(value).__name__}, which can be gone through only once, so its "
            "tensors can't be seen; return a list"
        )
    if isinstance(value, Set):
        return enumerate(_only(value))
    if isinstance(value, slice):
        return enumerate((value.start, value.stop, value.step))
    if isinstance(value, np.ndarray):
        return enumerate(value.ravel().tolist() if value.dtype.hasobject else ())
    found = parts_of(value)
    if found:
        return found
    return enumerate(value) if isinstance(value, Sequence) else None


def _only(value: Set[Any]) -> list[Any]:
    """What stands in a set, unless it holds several tensors."""
    items = list(value)
    tensors = ends(items, lambda item: isinstance(item, (paddle.Tensor, np.ndarray)), parts=everything())
    if len(list(tensors)) > 1:
        raise ArgumentError(
            "the network returns several tensors in a set, which has no order to tell them apart by; "
            "return a list"
        )
    return items


def _is_the_users(value: Any) -> bool:
    if isinstance(value, (types.SimpleNamespace, Namespace)):
        return True
    return type(value).__module__.split(".")[0] not in _FOREIGN


def _attributes(value: Any) -> Parts:
    """The attributes of an object, those in ``__slots__`` too."""
    found = dict(getattr(value, "__dict__", None) or {})
    for cls in type(value).__mro__:
        slots = vars(cls).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            private = slot.startswith("__") and not slot.endswith("__")
            name = f"_{cls.__name__.lstrip('_')}{slot}" if private else slot
            if hasattr(value, name):
                found[name] = getattr(value, name)
    found.pop("__dict__", None)
    return parts_of(found)
