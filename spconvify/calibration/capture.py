"""Run a network as far as the layers in question, and take along what goes in and comes out there."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.calibration.trace import Calls, addend
from spconvify.network.inputs import Sample, forward
from spconvify.network.operations import Operation, following, watching
from spconvify.network.untouched import untouched

_FOLLOWED = ("batch_norm", "add")  # the operators that results are followed through


@dataclass
class Call:
    """One call of a layer, channels last: input, output, and what is added behind its BatchNorm.

    The input is None where it wasn't asked for.
    """

    input: np.ndarray | None
    output: np.ndarray
    addend: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Watched:
    """A layer to look at: how it is used, whether channels are last, whether inputs are wanted."""

    layer: nn.Layer
    calls: Calls
    channels_last: bool
    inputs: bool = True


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
    return capture_all(model, [Watched(layer, calls, channels_last)], batch)[0]


def capture_all(
    model: nn.Layer, watched: Sequence[Watched], batch: Sample | paddle.Tensor
) -> list[list[Call]]:
    """The same for several layers in one pass, which stops when all have been seen."""
    eye = _Eye(watched)
    adds = any(one.calls.tail.adds for one in watched)
    watch = watching(eye.note, names=_FOLLOWED) if adds else contextlib.nullcontext()
    layers = [one.layer for one in watched]
    with contextlib.suppress(_Reached), untouched(model), watch, following(layers, eye.after):
        forward(model, batch)
    return eye.seen


class _Eye:
    """Sees the calls of layers, and follows their results to what is added to them."""

    def __init__(self, watched: Sequence[Watched]):
        self._watched = watched
        self._index = {id(one.layer): index for index, one in enumerate(watched)}
        self.seen: list[list[Call]] = [[] for _ in watched]
        self._followed: dict[int, tuple[Any, Watched, Call]] = {}  # id -> the tensor, whose it is

    def after(self, layer: nn.Layer, given: Any, output: Any) -> None:
        """Note a call of one of the layers."""
        index = self._index[id(layer)]
        one = self._watched[index]
        before = _array(given, one.channels_last) if one.inputs else None
        call = Call(before, _array(output, one.channels_last))
        self.seen[index].append(call)
        if one.calls.tail.adds:
            self._followed[id(output)] = (output, one, call)
        self._stop_when_all_is_seen()

    def note(self, operation: Operation) -> None:
        """Look whether an operator takes a result that is followed."""
        for argument in operation.args[:2]:
            if id(argument) not in self._followed:
                continue
            tensor, one, call = self._followed.pop(id(argument))
            if operation.name == "batch_norm":
                self._followed[id(operation.result[0])] = (operation.result[0], one, call)
            elif operation.name == "add":
                other = addend(operation, tensor)
                if other is not None:
                    values = _array(other, one.channels_last)
                    call.addend = np.broadcast_to(values, call.output.shape)
            self._stop_when_all_is_seen()

    def _stop_when_all_is_seen(self) -> None:
        if self._followed:
            return
        if all(len(calls) >= one.calls.number for calls, one in zip(self.seen, self._watched)):
            raise _Reached


def _array(tensor: paddle.Tensor, channels_last: bool) -> np.ndarray:
    array = tensor.astype("float32").numpy()
    return array if channels_last else np.ascontiguousarray(array.transpose(0, 2, 3, 1))
