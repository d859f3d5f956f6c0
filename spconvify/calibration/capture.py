"""Run a network only as far as one layer, and take along what goes in and comes out there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.calibration.trace import Calls, addend
from spconvify.network.inputs import Sample, forward
from spconvify.network.operations import Operation, following, watching
from spconvify.network.untouched import untouched


@dataclass
class Call:
    """One call of a layer, channels last: input, output, and what is added behind its BatchNorm."""

    input: np.ndarray
    output: np.ndarray
    addend: np.ndarray | None = None


class _Reached(BaseException):
    """Everything wanted has been seen: the rest of the pass is of no use. No network catches this."""


def capture(
    model: nn.Layer,
    layer: nn.Layer,
    calls: Calls,
    batch: Sample | paddle.Tensor,
    channels_last: bool,
) -> list[Call]:
    """Every call of `layer` when `model` sees `batch`; the pass stops after the last one.

    If `calls` knows of an addition, it is followed through the operators of this very pass. A pass
    that goes another way than the traced one gives the calls that it has.
    """
    seen: list[Call] = []
    followed: dict[int, tuple[Any, int]] = {}  # id -> tensor, index of its call

    def after(_layer: nn.Layer, given: Any, output: Any) -> None:
        seen.append(Call(_array(given, channels_last), _array(output, channels_last)))
        if calls.tail.adds:
            followed[id(output)] = (output, len(seen) - 1)
        elif len(seen) == calls.number:
            raise _Reached

    def note(operation: Operation) -> None:
        for argument in operation.args[:2]:
            if id(argument) not in followed:
                continue
            tensor, index = followed.pop(id(argument))
            if operation.name == "batch_norm":
                followed[id(operation.result[0])] = (operation.result[0], index)
            elif operation.name == "add":
                other = addend(operation, tensor)
                if other is not None:
                    values = _array(other, channels_last)
                    seen[index].addend = np.broadcast_to(values, seen[index].output.shape)
            if len(seen) == calls.number and not followed:
                raise _Reached

    watch = watching(note) if calls.tail.adds else contextlib.nullcontext()
    with contextlib.suppress(_Reached), untouched(model), watch, following([layer], after):
        forward(model, batch)
    return seen


def _array(tensor: paddle.Tensor, channels_last: bool) -> np.ndarray:
    array = tensor.astype("float32").numpy()
    return array if channels_last else np.ascontiguousarray(array.transpose(0, 2, 3, 1))
