"""Operators that become layers, with their parameters inside: what surgery and training look for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

import paddle
from paddle import nn

from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import layout_of
from spconvify.source.programs.pictures import padding_of
from spconvify.source.programs.program import unsupported

_NORMS = {2: nn.BatchNorm1D, 3: nn.BatchNorm1D, 4: nn.BatchNorm2D, 5: nn.BatchNorm3D}
_NORM_LAYOUTS = {
    2: {"NCHW": "NCL", "NHWC": "NCL"},
    3: {"NCHW": "NCL", "NHWC": "NLC"},
    4: {"NCHW": "NCHW", "NHWC": "NHWC"},
    5: {"NCHW": "NCDHW", "NHWC": "NDHWC"},
}
_INSTANCE_NORMS = {3: nn.InstanceNorm1D, 4: nn.InstanceNorm2D, 5: nn.InstanceNorm3D}


@dataclass(frozen=True)
class SubLayer:
    """What an operator is as a layer.

    Attributes:
        make: builds it.
        settings: what makes two of the same parameters differ.
        values: its parameter or buffer -> id of the program's parameter; None for what it hasn't.
        bias_axis: where the result's channels are, if a bias that is added behind belongs to it.
        channels: how many these are.
    """

    make: Callable[..., nn.Layer]
    settings: tuple[Any, ...]
    values: Mapping[str, str | None]
    bias_axis: int | None = None
    channels: int = 0


class Shapes:
    """What is known of values: whether one is a parameter, and its shape."""

    def __init__(self, parameters: Mapping[str, str], shapes: Mapping[str, list[int]]):
        self._parameters, self._shapes = parameters, shapes

    def of(self, source: Any) -> list[int]:
        """The shape of a value.

        Raises:
            KeyError: if nothing tells it.
        """
        return self._shapes[source]

    def are_parameters(self, *sources: Any) -> bool:
        """Whether each is one of the program's parameters, or isn't given."""
        given = [source for source in sources if source is not None]
        return all(isinstance(source, str) and source in self._parameters for source in given)


def _zero(given: Any = True) -> Any:
    """What a parameter starts as: random numbers would take most of the time of loading."""
    return paddle.ParamAttr(initializer=nn.initializer.Constant(0.0)) if given else False


def _convolution(n: Arguments, shapes: Shapes) -> SubLayer | None:
    weight = n.node.inputs[1]
    if not shapes.are_parameters(weight):
        return None
    shape, layout, groups = shapes.of(weight), layout_of(n), n["groups"]
    places = {
        "stride": list(n["strides"]),
        "padding": padding_of(n),
        "dilation": list(n["dilations"]),
        "groups": groups,
        "data_format": layout,
    }
    transposed = n.node.op.endswith("transpose")
    outputs = shape[1] * groups if transposed else shape[0]
    if transposed:
        _check_no_size(n)
        kind: Any = nn.Conv2DTranspose
        inputs, places["output_padding"] = shape[0], list(n["output_padding"]) or 0
    else:
        kind, inputs = nn.Conv2D, shape[1] * groups

    def make(bias: bool) -> nn.Layer:
        attrs = {"weight_attr": _zero(), "bias_attr": _zero(bias)}
        return kind(inputs, outputs, shape[2:], **places, **attrs)

    axis = 1 if layout == "NCHW" else -1
    return SubLayer(make, (n.node.op, str(places)), {"weight": weight}, axis, outputs)


def _check_no_size(n: Arguments) -> None:
    if n.has(2):
        size = n.static(2)
        if not isinstance(size, list) or size:
            raise unsupported("a transposed convolution with an output size")


def _linear(n: Arguments, shapes: Shapes) -> SubLayer | None:
    weight = n.node.inputs[1]
    if not (isinstance(weight, str) and shapes.are_parameters(weight)) or len(shapes.of(weight)) != 2:
        return None
    if n["transpose_x"] or n["transpose_y"]:
        return None
    shape = shapes.of(weight)

    def make(bias: bool) -> nn.Layer:
        return nn.Linear(*shape, weight_attr=_zero(), bias_attr=_zero(bias))

    return SubLayer(make, ("linear",), {"weight": weight}, -1, shape[1])


def _batch_norm(n: Arguments, shapes: Shapes) -> SubLayer:
    x, mean, variance, weight, bias = n.node.inputs[:5]
    if mean is None or not shapes.are_parameters(mean, variance, weight, bias):
        raise unsupported("a batch_norm whose statistics are computed")
    if n.either("trainable_statistics"):  # older files don't say so
        raise unsupported("a batch_norm that normalises by each batch's own statistics")
    rank, (channels,) = len(shapes.of(x)), shapes.of(mean)
    settings = {
        "momentum": n["momentum"],
        "epsilon": n["epsilon"],
        "data_format": _NORM_LAYOUTS[rank][layout_of(n)],
    }

    # use_global_stats isn't handed on, which every exported one has: it would never train again.
    def make(_: bool) -> nn.Layer:
        attrs = {"weight_attr": _zero(weight), "bias_attr": _zero(bias)}
        return _NORMS[rank](channels, **settings, **attrs)

    values = {"weight": weight, "bias": bias, "_mean": mean, "_variance": variance}
    return SubLayer(make, ("batch_norm", str(settings)), values)


def _norm(n: Arguments, shapes: Shapes) -> SubLayer | None:
    """layer_norm, group_norm and instance_norm; None where their parameters are computed or missing."""
    x, weight, bias = n.node.inputs[:3]
    if not (weight or bias) or not shapes.are_parameters(weight, bias):
        return None
    op, shape, epsilon = n.node.op, shapes.of(x), n["epsilon"]
    attrs = {"weight_attr": _zero(weight), "bias_attr": _zero(bias)}
    (channels, *_) = shapes.of(weight or bias)
    settings: tuple[Any, ...] = (op, epsilon)
    if op == "layer_norm":
        sizes = shape[n["begin_norm_axis"] :]
        if any(size < 0 for size in sizes):
            return None
        if math.prod(sizes) != math.prod(shapes.of(weight or bias)):  # a layer would take memory for it
            raise unsupported(f"a layer_norm of {sizes} with a parameter of another size")
        layer: Callable[[], nn.Layer] = lambda: nn.LayerNorm(sizes, epsilon, **attrs)  # noqa: E731
        settings += (tuple(sizes),)
    elif op == "group_norm":
        groups, layout = n["groups"], layout_of(n)
        layer = lambda: nn.GroupNorm(groups, channels, epsilon, data_format=layout, **attrs)  # noqa: E731
        settings += (groups, layout)
    else:
        layer = lambda: _INSTANCE_NORMS[len(shape)](channels, epsilon, **attrs)  # noqa: E731
    name = "scale" if op == "instance_norm" else "weight"
    return SubLayer(lambda _: layer(), settings, {name: weight, "bias": bias})


def _dropout(n: Arguments, shapes: Shapes) -> SubLayer:
    share = n.number(2)
    mode = "downscale_in_infer" if n["mode"] == "downgrade_in_infer" else n["mode"]
    # No parameters: every one is a layer of its own.
    return SubLayer(lambda _: nn.Dropout(share, mode=mode), ("dropout", n.node.outputs[0]), {})


SUBLAYERS: dict[str, Callable[[Arguments, Shapes], SubLayer | None]] = {
    "conv2d": _convolution,
    "depthwise_conv2d": _convolution,
    "conv2d_transpose": _convolution,
    "depthwise_conv2d_transpose": _convolution,
    "matmul": _linear,
    "batch_norm": _batch_norm,
    "layer_norm": _norm,
    "group_norm": _norm,
    "instance_norm": _norm,
    "dropout": _dropout,
}
