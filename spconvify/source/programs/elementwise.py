"""Operators that act on every element by itself."""

from __future__ import annotations

import paddle
import paddle.nn.functional as F

from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry, dtype_of, layout_of, of_tensors
from spconvify.source.programs.program import unsupported

_OF_PADDLE = """
    add subtract multiply divide maximum minimum remainder floor_divide greater_than less_than equal
    not_equal greater_equal less_equal logical_and logical_or logical_not tanh exp sqrt rsqrt abs floor
    ceil log square erf sin cos round isnan reciprocal sign bitwise_and bitwise_or bitwise_not where
    assign add_n
""".split()
_ACTIVATIONS = "relu sigmoid silu mish hardswish softsign".split()


def _scale(n: Arguments) -> Call:
    return paddle.scale, [n.x(), n.number(1), n["bias"], n["bias_after_scale"]], {}


def _clip(n: Arguments) -> Call:
    return paddle.clip, [n.x(), n.number(1), n.number(2)], {}


def _cast(n: Arguments) -> Call:
    return paddle.cast, [n.x(), dtype_of(n["dtype"])], {}


def _prelu(n: Arguments) -> Call:
    return F.prelu, [n.x(), n.x(1), layout_of(n)], {}


def _relu6(n: Arguments) -> Call:
    """Paddle 2's has a bound of its own, which numbers that a network is compared on seldom reach."""
    bound = n.either("threshold")
    if bound not in (None, 6.0):
        raise unsupported(f"a relu6 that ends at {bound:g}")
    return F.relu6, [n.x()], {}


def _full_like(n: Arguments) -> Call:
    return paddle.full_like, [n.x(), n.number(1)], {"dtype": dtype_of(n["dtype"])}


def _pow(n: Arguments) -> Call:
    return paddle.pow, [n.x(), n["y"]], {}


FUNCTIONS: dict[str, Entry] = {
    **{name: of_tensors(getattr(paddle, name)) for name in _OF_PADDLE},
    **{name: of_tensors(getattr(F, name)) for name in _ACTIVATIONS},
    "elementwise_pow": of_tensors(paddle.pow),
    "swish": of_tensors(F.silu),
    "share_data": of_tensors(paddle.assign),
    "memcpy_h2d": of_tensors(paddle.assign),
    "hardsigmoid": of_tensors(F.hardsigmoid, slope="slope", offset="offset"),
    "leaky_relu": of_tensors(F.leaky_relu, negative_slope="negative_slope"),
    "elu": of_tensors(F.elu, alpha="alpha"),
    "gelu": of_tensors(F.gelu, approximate="approximate"),
    "softplus": of_tensors(F.softplus, beta="beta", threshold="threshold"),
    "softmax": of_tensors(F.softmax, axis="axis"),
    "log_softmax": of_tensors(F.log_softmax, axis="axis"),
    "relu6": _relu6,
    "pow": _pow,
    "scale": _scale,
    "clip": _clip,
    "cast": _cast,
    "prelu": _prelu,
    "full_like": _full_like,
}
