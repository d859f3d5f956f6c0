"""Operators that bring axes together, products of matrices among them."""

from __future__ import annotations

from typing import Any

import paddle

from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry, dtype_of
from spconvify.source.programs.program import unsupported


def _over_axes(function: Any) -> Entry:
    """No axis stands for all of them."""

    def entry(n: Arguments) -> Call:
        axes = n.attribute_or_input("axis", 1)
        return function, [n.x()], {"axis": None if axes == [] else axes, "keepdim": n["keepdim"]}

    return entry


def _argmax(n: Arguments) -> Call:
    axis = None if n["flatten"] else n.number(1)
    return paddle.argmax, [n.x(), axis, n["keepdims"]], {"dtype": dtype_of(n["dtype"]) or "int64"}


def _sum(n: Arguments) -> Call:
    """Its dtype is another than the input's where the network says so."""
    function, inputs, places = _over_axes(paddle.sum)(n)
    return function, inputs, {**places, "dtype": dtype_of(n["dtype"])}


def _cumsum(n: Arguments) -> Call:
    if n["exclusive"] or n["reverse"]:
        raise unsupported("a cumsum that goes backwards, or leaves the element itself out")
    return paddle.cumsum, [n.x(), None if n["flatten"] else n.number(1)], {}


def _topk(n: Arguments) -> Call:
    return paddle.topk, [n.x(), n.number(1), n["axis"], n["largest"], n["sorted"]], {}


FUNCTIONS: dict[str, Entry] = {
    "mean": _over_axes(paddle.mean),
    "sum": _sum,
    "max": _over_axes(paddle.max),
    "min": _over_axes(paddle.min),
    "argmax": _argmax,
    "topk": _topk,
    "cumsum": _cumsum,
    "p_norm": lambda n: (paddle.norm, [n.x(), n["porder"], n["axis"], n["keepdim"]], {}),
    "matmul": lambda n: (paddle.matmul, [n.x(), n.x(1), n["transpose_x"], n["transpose_y"]], {}),
    "einsum": lambda n: (einsum, [n["equation"], n.x()], {}),
}


def einsum(equation: str, operands: Any) -> Any:
    """``paddle.einsum`` of a list."""
    return paddle.einsum(equation, *operands)
