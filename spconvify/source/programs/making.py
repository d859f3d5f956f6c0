"""Operators that make tensors out of numbers, or look them up."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F

from spconvify.errors import CheckpointError
from spconvify.network.failures import first_line
from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry, dtype_of
from spconvify.source.programs.program import Node, check_size, unsupported

CONSTANTS = ("constant", "full", "full_int_array", "assign_value")


def constant_of(node: Node) -> np.ndarray:
    """The value of an operator of `CONSTANTS`.

    Raises:
        CheckpointError: if it would be larger than any network's, or can't be read.
    """
    try:
        return _constant_of(node)
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # an attribute of another version, or a damaged one
        detail = f"{type(error).__name__}: {first_line(error)}"
        raise unsupported(f"a {node.op} of a form that isn't known ({detail})") from error


def _constant_of(node: Node) -> np.ndarray:
    attrs = node.attrs
    if node.op == "constant":
        return attrs["value"]
    dtype = dtype_of(attrs["dtype"]) or "float32"
    if node.op == "full":
        check_size(attrs["shape"])
        return np.full(attrs["shape"], attrs["value"], _numpy(dtype))
    if node.op == "full_int_array":
        return np.array(attrs["value"], _numpy(dtype))
    check_size(attrs["shape"])
    return np.array(attrs["values"], _numpy(dtype)).reshape(attrs["shape"])


def _numpy(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype


def _constant(n: Arguments) -> Call:
    return tensor_of, [constant_of(n.node)], {}


def tensor_of(value: np.ndarray) -> Any:
    """A constant as a tensor."""
    return paddle.to_tensor(value)


def _arange(n: Arguments) -> Call:
    return paddle.arange, [n.number(0), n.number(1), n.number(2), dtype_of(n["dtype"])], {}


def _full_with_tensor(n: Arguments) -> Call:
    return paddle.full, [n.static(1), n.number(0), dtype_of(n["dtype"])], {}


FUNCTIONS: dict[str, Entry] = {
    **dict.fromkeys(CONSTANTS, _constant),
    "full_with_tensor": _full_with_tensor,
    "arange": _arange,
    "one_hot": lambda n: (F.one_hot, [n.x(), n.number(1)], {}),
    "embedding": lambda n: (F.embedding, [n.x(), n.x(1)], {}),
}
