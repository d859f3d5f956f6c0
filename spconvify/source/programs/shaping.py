"""Operators that move elements, take some, or put tensors together."""

from __future__ import annotations

from typing import Any

import paddle

from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry, of_tensors


def _sized(function: Any) -> Entry:
    """reshape, expand, tile, squeeze and unsqueeze: a list of numbers stands behind the tensor."""

    def entry(n: Arguments) -> Call:
        return function, [n.x(), n.static(1)], {}

    return entry


def _slice(n: Arguments) -> Call:
    return slice_of, [n.x(), n["axes"], n.static(1), n.static(2), n["decrease_axis"]], {}


def slice_of(x: Any, axes: Any, starts: Any, ends: Any, dropped: Any) -> Any:
    """A part of `x`, without the axes that an index of Python's drops."""
    part = paddle.slice(x, axes, starts, ends)
    return paddle.squeeze(part, dropped) if dropped else part


def size_of(x: Any, dtype: str) -> Any:
    """The shape of `x` as a tensor."""
    return paddle.cast(paddle.shape(x), dtype)


FUNCTIONS: dict[str, Entry] = {
    "reshape": _sized(paddle.reshape),
    "squeeze": _sized(paddle.squeeze),
    "unsqueeze": _sized(paddle.unsqueeze),
    "expand": _sized(paddle.expand),
    "tile": _sized(paddle.tile),
    "transpose": of_tensors(paddle.transpose, perm="perm"),
    "flatten": of_tensors(paddle.flatten, start_axis="start_axis", stop_axis="stop_axis"),
    "flip": of_tensors(paddle.flip, axis="axis"),
    "gather_nd": of_tensors(paddle.gather_nd),
    "index_select": lambda n: (paddle.index_select, [n.x(), n.x(1), n["axis"]], {}),
    "masked_select": of_tensors(paddle.masked_select),
    "nonzero": of_tensors(paddle.nonzero),
    "bmm": of_tensors(paddle.bmm),
    "meshgrid": lambda n: (paddle.meshgrid, [n.x()], {}),
    "slice": _slice,
    "strided_slice": lambda n: (
        paddle.strided_slice, [n.x(), n["axes"], n.static(1), n.static(2), n.static(3)], {}
    ),
    "shape": lambda n: (size_of, [n.x(), "int32"], {}),
    "shape64": lambda n: (size_of, [n.x(), "int64"], {}),
    "concat": lambda n: (paddle.concat, [n.x(), n.number(1)], {}),
    "stack": lambda n: (paddle.stack, [n.x(), n["axis"]], {}),
    "unbind": lambda n: (paddle.unbind, [n.x(), n["axis"]], {}),
    "split": lambda n: (paddle.split, [n.x(), n.static(1), n.number(2)], {}),
    "split_with_num": lambda n: (paddle.split, [n.x(), n["num"], n.number(1)], {}),
    "gather": lambda n: (paddle.gather, [n.x(), n.x(1), n.number(2)], {}),
    "roll": lambda n: (paddle.roll, [n.x(), n.static(1), n["axis"]], {}),
}  # fmt: skip
