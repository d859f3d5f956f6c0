"""AdamW whose moments go by the parameters' structured names, in any process and at any time of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.utils import unique_name

from spconvify.errors import ArgumentError
from spconvify.recovery.recipe import Recipe

_BETA1, _BETA2 = 0.9, 0.999
# What Paddle keeps for each parameter, and what that is before the first step.
PARTS = {"moment1": 0.0, "moment2": 0.0, "beta1_pow_acc": _BETA1, "beta2_pow_acc": _BETA2}


class Optimizer:
    """AdamW on the parameters of `student` that aren't frozen.

    Paddle keeps an optimizer's state by the names of parameters, which may be others in each process,
    the same in two networks, and numbered anew for each optimizer. So during every step the parameters
    have names of this class's own.

    Raises:
        ArgumentError: if all parameters are frozen.
    """

    def __init__(self, student: nn.Layer, recipe: Recipe):
        named = [(key, p) for key, p in student.named_parameters() if not p.stop_gradient]
        if not named:
            raise ArgumentError("the student has no trainable parameter; unfreeze some")
        self.keys = [key for key, _ in named]
        self.parameters = [parameter for _, parameter in named]
        self._before: dict[str, np.ndarray] = {}
        self._optimizer = paddle.optimizer.AdamW(
            float(recipe.learning_rate),
            beta1=_BETA1,
            beta2=_BETA2,
            parameters=self.parameters,
            weight_decay=float(recipe.weight_decay),
            grad_clip=nn.ClipGradByGlobalNorm(float(recipe.clip_norm)),
        )

    def step(self, rate: float) -> None:
        """Move the parameters along their gradients."""
        self._optimizer.set_lr(float(rate))
        with self._own_names():
            self._optimizer.step()

    def clear(self) -> None:
        """Take the gradients away."""
        self._optimizer.clear_grad(set_to_zero=False)

    def state(self) -> dict[str, np.ndarray]:
        """``KEY|PART`` -> array, of every parameter that has had a gradient."""
        found = dict(self._before)  # a parameter may not have had one since `set_state`
        for name, value in self._optimizer.state_dict().items():
            if isinstance(value, paddle.Tensor):
                index, part = name[1:-2].split("._")
                found[f"{self.keys[int(index)]}|{part}"] = value.numpy()
        return found

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on with what `state` gave; before the first step."""
        self._before, tensors = dict(state), {}
        for index, (key, parameter) in enumerate(zip(self.keys, self.parameters)):
            for part, start in PARTS.items():
                array = state.get(f"{key}|{part}")
                if array is None:  # no gradient has come yet
                    shape = part_shape(part, parameter.shape)
                    array = np.full(shape, start, parameter.numpy().dtype)
                tensors[f"{_name(index)}_{part}_0"] = paddle.to_tensor(array)
        self._optimizer.set_state_dict(tensors)

    @contextlib.contextmanager
    def _own_names(self) -> Iterator[None]:
        names = [parameter.name for parameter in self.parameters]
        try:
            for index, parameter in enumerate(self.parameters):
                parameter.name = _name(index)
            with unique_name.guard():
                yield
        finally:
            for name, parameter in zip(names, self.parameters):
                parameter.name = name


def part_shape(part: str, shape: Any) -> tuple[int, ...]:
    """The shape of a parameter's moment or power."""
    return tuple(shape) if part.startswith("moment") else (1,)


def _name(index: int) -> str:
    """Paddle's names are this one and ``_PART_0``."""
    return f"p{index}."
