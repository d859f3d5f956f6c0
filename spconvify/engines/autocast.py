"""``paddle.amp.auto_cast`` in a forward has no effect on a CPU, so neither has it in a trace of it."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

import paddle


class _NoLevel:
    """Every level of autocast is the one that casts nothing."""

    def __init__(self, levels: Any):
        self.O0 = self.OD = self.O1 = self.O2 = levels.O0


@contextlib.contextmanager
def without_autocast() -> Iterator[None]:
    """Have a network traced as it runs here: on a CPU without autocast, which Paddle says itself there.

    Paddle 3 does heed it while it traces. The program then casts to bfloat16 or float16, which neither
    Paddle Inference nor ONNX Runtime runs on a CPU. Where the network is on a GPU nothing is changed.
    """
    module: Any = importlib.import_module("paddle.amp.auto_cast")
    levels = getattr(module, "AMP_LEVEL", None)
    if levels is None or paddle.get_device() != "cpu":
        yield
        return
    module.AMP_LEVEL = _NoLevel(levels)
    try:
        yield
    finally:
        module.AMP_LEVEL = levels
