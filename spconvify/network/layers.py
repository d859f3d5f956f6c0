"""Layers that take one tensor, by whatever name it is handed to them."""

from __future__ import annotations

from typing import Any

import paddle.nn.functional as F
from paddle import nn

# What ``nn.BatchNorm(act=...)`` can be told to do behind it, with Paddle's own settings.
ACTIVATIONS = {
    "relu": F.relu, "relu6": F.relu6, "sigmoid": F.sigmoid, "tanh": F.tanh, "swish": F.swish,
    "silu": F.silu, "hard_swish": F.hardswish,
}  # fmt: skip


class OneInput(nn.Layer):
    """Takes one tensor: the layer whose place it takes may have called it `x` or `input`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer; the tensor may be given by any name."""
        return super().__call__(*args, *kwargs.values())


class Identity(OneInput):
    """What is left of a BatchNorm when its gain and its offset are elsewhere."""

    def forward(self, x):
        return x


class Activation(OneInput):
    """What is left of an ``nn.BatchNorm(act=...)``."""

    def __init__(self, act: str):
        super().__init__()
        self.act = act

    def forward(self, x):
        return ACTIVATIONS[self.act](x)

    def extra_repr(self) -> str:
        """Shown by ``print(network)``."""
        return self.act
