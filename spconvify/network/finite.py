"""Weights that aren't finite: found before they are fitted to, saved or exported."""

from __future__ import annotations

from typing import Any

import paddle
from paddle import nn

_STATISTICS = ("_mean", "_variance")  # of a BatchNorm: buffers that count as weights


def not_finite(model: nn.Layer) -> list[str]:
    """Names of the parameters and statistics that hold NaN or infinity, and of buffers with NaN.

    Infinities in other buffers are let through: an attention mask may be made of them.
    """
    parameters = [name for name, value in model.named_parameters() if not _finite(value)]
    buffers = []
    for name, value in model.named_buffers():
        bad = _finite if name.split(".")[-1] in _STATISTICS else _a_number
        if not bad(value):
            buffers.append(name)
    return parameters + [name for name in buffers if name not in parameters]


def check_finite(model: nn.Layer, error: type[Exception], consequence: str) -> None:
    """Refuse a network with weights that aren't finite.

    Args:
        model: the network.
        error: what is raised.
        consequence: the end of the message, such as "so nothing was saved".

    Raises:
        error: names the first of the weights, and how many there are.
    """
    bad = not_finite(model)
    if bad:
        others = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        raise error(f"{bad[0]!r}{others} holds NaN or infinity, {consequence}")


def _finite(value: Any) -> bool:
    return _all(paddle.isfinite, value)


def _a_number(value: Any) -> bool:
    return _all(lambda tensor: ~paddle.isnan(tensor), value)


def _all(test: Any, value: Any) -> bool:
    if "float" not in str(value.dtype) or not value._is_initialized():
        return True
    with paddle.no_grad():
        return bool(test(value.astype("float32") if "16" in str(value.dtype) else value).all())
