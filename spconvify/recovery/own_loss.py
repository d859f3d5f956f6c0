"""A caller's own function as the loss of a recovery: called, and held to giving one number."""

from __future__ import annotations

import math
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.batches import Batch, taken
from spconvify.network.failures import first_line
from spconvify.network.input_tensor import dtype_name
from spconvify.network.run import evaluating
from spconvify.recovery.matching import run_batch, unchanged

Function = Callable[[Any, Any], Any]  # (what the student returns, what the teacher returns) -> a scalar
_FEW = 8  # images that it is recognised by


class OwnLoss:
    """The loss of what two networks return, by a function of the caller.

    Args:
        function: gets what the student and what the teacher return for a batch, as they return it, and
            gives a tensor of one number that has a gradient.
    """

    def __init__(self, function: Function):
        self._function, self._name = function, name_of(function)

    def __call__(self, own: Any, taught: Any) -> paddle.Tensor:
        """Raises ArgumentError if the function fails, or gives anything else."""
        try:
            loss = self._function(own, taught)
        except Exception as error:  # whatever the caller's function raises
            raise ArgumentError(
                f"loss {self._name!r} fails: {first_line(error)}; it is called with what student and "
                "teacher return for a batch"
            ) from error
        if not isinstance(loss, paddle.Tensor):
            raise ArgumentError(
                f"loss {self._name!r} gives a {type(loss).__name__}; it must give a tensor of one number"
            )
        if int(loss.size) != 1:
            raise ArgumentError(
                f"loss {self._name!r} gives a tensor of shape {list(loss.shape)}; it must give one "
                "number, such as the mean of them"
            )
        if loss.stop_gradient:
            raise ArgumentError(
                f"loss {self._name!r} gives a number without a gradient; it must be computed from the "
                "student's outputs with Paddle's differentiable functions alone"
            )
        if "float" not in str(loss.dtype):
            raise ArgumentError(
                f"loss {self._name!r} gives {dtype_name(loss.dtype)}, which nothing is learnt from; it "
                "must give a float"
            )
        return loss.sum()  # of shape [], whether it was [] or [1]

    def check(self, student: nn.Layer, teacher: nn.Layer, images: Batch) -> None:
        """Try it on a batch, inside `distilling`; the trial leaves no trace in the networks.

        Raises:
            ArgumentError: if a network or the function fails, or the loss isn't a finite number with a
                gradient.
        """
        with unchanged(student), unchanged(teacher):
            with paddle.no_grad():
                taught = run_batch(teacher, images)
            value = float(self(run_batch(student, images), taught))
        if not math.isfinite(value):
            raise ArgumentError(
                f"loss {self._name!r} is {value} on the first batch; it must be finite where student "
                "and teacher differ and where they agree"
            )


def name_of(function: Function) -> str:
    """What a function is called in messages, and by a recovery's checkpoint."""
    return getattr(function, "__qualname__", type(function).__name__)


def of_loss(function: Function, teacher: nn.Layer, images: Batch) -> str:
    """What a run's checkpoint remembers of a function: its name, and what it gives for known outputs.

    These are the teacher's, for some images and for the same ones upside down, in the opposite order.
    A value that is another one each time, or none, isn't remembered.
    """
    first = taken(images, slice(_FEW))
    with evaluating(teacher), unchanged(teacher), paddle.no_grad():
        outputs = [run_batch(teacher, x) for x in (_other(first), first)]
        values = []
        for _ in range(2):
            try:
                values.append(float(function(*outputs)))
            except Exception:  # made for what a student returns in training mode alone
                return name_of(function)
    known = values[0] == values[1] and math.isfinite(values[0])
    return f"{name_of(function)} ({values[0]:.3g})" if known else name_of(function)


def _other(images: Batch) -> Batch:
    turned = taken(images, slice(None, None, -1))
    return np.ascontiguousarray(turned[:, :, ::-1]) if isinstance(turned, np.ndarray) else turned
