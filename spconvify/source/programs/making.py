"""Operators that make tensors out of numbers, or look them up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import paddle
import paddle.nn.functional as F

from spconvify.errors import CheckpointError
from spconvify.network.failures import first_line
from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry, dtype_of
from spconvify.source.programs.program import Allowance, Node, unsupported
from spconvify.source.programs.tensors import DTYPES

_OF_NUMBERS = (*DTYPES.values(), "complex64", "complex128")
CONSTANTS = ("constant", "full", "full_int_array", "assign_value")


def constants_of(nodes: Iterable[Node]) -> dict[str, np.ndarray]:
    """The values of the operators of `CONSTANTS`, by id.

    Raises:
        CheckpointError: if they would be larger than any network's, or can't be read.
    """
    allowance = Allowance()
    return {node.outputs[0]: _constant(node, allowance) for node in nodes if node.op in CONSTANTS}


def _constant(node: Node, allowance: Allowance) -> np.ndarray:
    try:
        return _value(node, allowance)
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # an attribute of another version, or a damaged one
        detail = f"{type(error).__name__}: {first_line(error)}"
        raise unsupported(f"a {node.op} of a form that isn't known ({detail})") from error


def _value(node: Node, allowance: Allowance) -> np.ndarray:
    attrs = node.attrs
    if node.op == "constant":
        return attrs["value"]
    dtype = _numpy(dtype_of(attrs["dtype"]) or "float32")
    if node.op == "full_int_array":
        return np.array(attrs["value"], dtype)
    allowance.take(attrs["shape"])
    if node.op == "full":
        return np.full(attrs["shape"], attrs["value"], dtype)
    return np.array(attrs["values"], dtype).reshape(attrs["shape"])


def _numpy(dtype: str) -> str:
    """Of numbers: an array of texts or objects may be made of anything."""
    if dtype not in _OF_NUMBERS:
        raise unsupported(f"a constant of the dtype {dtype}")
    return "float32" if dtype == "bfloat16" else dtype


def _known(n: Arguments) -> Call:
    return tensor_of, [n.value()], {}


def tensor_of(value: np.ndarray) -> Any:
    """A constant as a tensor."""
    return paddle.to_tensor(value)


def _arange(n: Arguments) -> Call:
    # The older operator without the attribute gives what its numbers are, which all have one dtype.
    dtype = n.either("dtype") or next(filter(None, map(n.dtype, range(3))), None)
    if dtype is None:
        raise unsupported("an arange whose dtype depends on the input")
    return paddle.arange, [n.number(0), n.number(1), n.number(2), dtype_of(dtype)], {}


def _full_with_tensor(n: Arguments) -> Call:
    return paddle.full, [n.static(1), n.number(0), dtype_of(n["dtype"])], {}


def _embedding(n: Arguments) -> Call:
    """A row may be called padding: it counts as zeros, whatever its numbers are. -1 is none."""
    padding = n["padding_idx"]
    return F.embedding, [n.x(), n.x(1)], {"padding_idx": None if padding < 0 else padding}


FUNCTIONS: dict[str, Entry] = {
    **dict.fromkeys(CONSTANTS, _known),
    "full_with_tensor": _full_with_tensor,
    "arange": _arange,
    "one_hot": lambda n: (F.one_hot, [n.x(), n.number(1)], {}),
    "embedding": _embedding,
}
