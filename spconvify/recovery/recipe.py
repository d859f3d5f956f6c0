"""The numbers of a recovery, their defaults and limits. Needs no Paddle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Callable, Optional, Union

from spconvify.errors import ArgumentError
from spconvify.settings import check_seed

DEFAULT_STEPS = 600
DEFAULT_BATCH_SIZE = 128
DEFAULT_LEARNING_RATE = 3e-3
DEFAULT_TEMPERATURE = 4.0
DEFAULT_FEATURE_WEIGHT = 0.0
_REAL = (
    "learning_rate", "warmup", "weight_decay", "clip_norm", "temperature", "feature_weight",
    "label_weight",
)  # fmt: skip
_LARGEST_TEMPERATURE = 100.0  # beyond it, what is left of the logits' differences is rounding
_EVALUATIONS, _CHECKPOINTS = 5, 20  # in a whole run, unless the caller says otherwise


@dataclass(frozen=True)
class Recipe:
    """How a student is trained; `spconvify.recover` explains every number."""

    steps: int = DEFAULT_STEPS
    batch_size: int = DEFAULT_BATCH_SIZE
    learning_rate: float = DEFAULT_LEARNING_RATE
    warmup: float = 0.05
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    temperature: float = DEFAULT_TEMPERATURE
    feature_weight: float = DEFAULT_FEATURE_WEIGHT
    label_weight: float = 0.0
    seed: int = 0
    # "kl" or "mse" for every output, or a function of all; None goes by the kind of each
    loss: Optional[Union[str, Callable[[Any, Any], Any]]] = None
    axis: Optional[int] = None  # of the classes, for "kl"; None looks for it

    def check(self) -> None:
        """Refuse numbers that can't be.

        Raises:
            ArgumentError: names the number, its value and what would do.
        """
        for name, least in (("steps", 1), ("batch_size", 1), ("seed", 0)):
            if not isinstance(getattr(self, name), Integral):
                raise ArgumentError(f"{name} {getattr(self, name)!r} isn't a whole number")
            if getattr(self, name) < least:
                raise ArgumentError(f"{name} {getattr(self, name)} is less than {least}")
        check_seed(self.seed)
        self._check_loss()
        for name in _REAL:
            if not isinstance(getattr(self, name), Real):
                raise ArgumentError(f"{name} {getattr(self, name)!r} isn't a number")
        for name in ("learning_rate", "temperature", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ArgumentError(f"{name} {getattr(self, name):g} isn't a positive number")
        if not 1.0 / _LARGEST_TEMPERATURE <= self.temperature <= _LARGEST_TEMPERATURE:
            raise ArgumentError(
                f"temperature {self.temperature:g} isn't between {1.0 / _LARGEST_TEMPERATURE:g} and "
                f"{_LARGEST_TEMPERATURE:g}: the logits would all be the same, or one of them everything"
            )
        for name in ("feature_weight", "label_weight", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ArgumentError(f"{name} {getattr(self, name):g} is negative or not a number")
        if not 0 <= self.warmup < 1:
            raise ArgumentError(f"warmup {self.warmup:g} isn't a share of the steps in [0, 1)")

    def _check_loss(self) -> None:
        if not callable(self.loss) and self.loss not in (None, "kl", "mse"):
            raise ArgumentError(
                f"loss {self.loss!r} is unknown; use 'kl' or 'mse', or a function of the outputs of "
                "student and teacher, or leave it out"
            )
        if self.axis is not None and (not isinstance(self.axis, Integral) or self.axis == 0):
            raise ArgumentError(f"axis {self.axis!r} isn't one of classes: a whole number, and not 0")
        if self.loss in (None, "kl"):
            return
        own = "of your own" if callable(self.loss) else repr(self.loss)
        if self.axis is not None:
            raise ArgumentError(f"axis {self.axis} acts on loss 'kl', not on one {own}; leave it out")
        if callable(self.loss) and self.label_weight:
            raise ArgumentError(
                f"label_weight {self.label_weight:g} and a loss of your own contradict each other; "
                "leave one of them out"
            )
        if self.temperature != DEFAULT_TEMPERATURE:
            raise ArgumentError(
                f"temperature {self.temperature:g} acts on loss 'kl', not on one {own}; leave it out"
            )

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0: a linear rise, then half a cosine to zero."""
        rise = int(self.warmup * self.steps)
        if step < rise:
            return self.learning_rate * (step + 1) / rise
        along = (step - rise) / (self.steps - rise)
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * along))

    def evaluates(self, done: int, every: int | None) -> bool:
        """Whether accuracy is looked at after `done` steps."""
        return _due(done, self.steps, every, _EVALUATIONS)

    def saves(self, done: int, every: int | None) -> bool:
        """Whether a checkpoint is written after `done` steps."""
        return _due(done, self.steps, every, _CHECKPOINTS)


def _due(done: int, steps: int, every: int | None, times: int) -> bool:
    every = every or max(1, steps // times)
    return done == steps or done % every == 0
