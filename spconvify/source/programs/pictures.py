"""Operators on feature maps: pooling, resizing, padding; layers whose weights are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import paddle
import paddle.nn.functional as F

from spconvify.source.programs.arguments import Arguments
from spconvify.source.programs.entries import Call, Entry, layout_of, of_tensors
from spconvify.source.programs.program import unsupported


def padding_of(n: Arguments) -> Any:
    """Numbers, "SAME" or "VALID"."""
    return list(n["paddings"]) if n["padding_algorithm"] == "EXPLICIT" else n["padding_algorithm"]


def _convolution(n: Arguments) -> Call:
    """With a weight that is computed, as that of a one-dimensional one is; others are layers."""
    places = {"stride": list(n["strides"]), "padding": padding_of(n), "dilation": list(n["dilations"])}
    return F.conv2d, [n.x(), n.x(1)], {**places, "groups": n["groups"], "data_format": layout_of(n)}


def _pool(n: Arguments) -> Call:
    size, layout = n.static(1), layout_of(n)
    average = n["pooling_type"] == "avg"
    if n["adaptive"] or n["global_pooling"]:
        size = size if n["adaptive"] else 1
        if average:
            return F.adaptive_avg_pool2d, [n.x(), size], {"data_format": layout}
        if layout != "NCHW":
            raise unsupported("an adaptive max pooling of NHWC maps")
        return F.adaptive_max_pool2d, [n.x(), size], {}
    common = {
        "stride": list(n["strides"]),
        "padding": padding_of(n),
        "ceil_mode": n["ceil_mode"],
        "data_format": layout,
    }
    if average:
        return F.avg_pool2d, [n.x(), size], {**common, "exclusive": n["exclusive"]}
    return F.max_pool2d, [n.x(), size], common


def _pool_with_index(n: Arguments) -> Call:
    if n["adaptive"] or n["global_pooling"]:
        raise unsupported("an adaptive max pooling that gives indices")
    places = {"stride": list(n["strides"]), "padding": list(n["paddings"])}
    rounding = {"ceil_mode": bool(n.either("ceil_mode"))}  # which Paddle 2.6's operator can't
    return F.max_pool2d, [n.x(), list(n["kernel_size"])], {**places, **rounding, "return_mask": True}


def _resize(n: Arguments) -> Call:
    """By a size: the inputs 1 (a tensor) and 2 (several), or attributes; by a scale otherwise."""
    size: Any = None
    if n.has(1):
        size = n.static(1)
    elif n.has(2):
        size = n.static(2)
    elif n["out_h"] > 0 and n["out_w"] > 0:
        size = [n["out_h"], n["out_w"]]
    scale = n.static(3) if n.has(3) else list(n["scale"] or []) or None
    mode = n.node.op.partition("_")[0]
    return resized, [n.x(), size, scale, mode, n["align_corners"], n["align_mode"], layout_of(n)], {}


def resized(
    x: Any, size: Any, scale: Any, mode: str, align_corners: bool, align_mode: int, layout: str
) -> Any:
    """``interpolate``, by a size where a scale of whole numbers says the same.

    Paddle 3 writes a scale as numbers that its own oneDNN and the ONNX converter refuse.
    """
    if size is None and isinstance(scale, list) and all(float(factor).is_integer() for factor in scale):
        size, scale = _size(x, scale * 2 if len(scale) == 1 else scale, layout), None
    return F.interpolate(x, size, scale, mode, align_corners, align_mode, layout)


def _size(x: Any, scale: Sequence[float], layout: str) -> list[Any]:
    first = 2 if layout == "NCHW" else 1
    known = x.shape[first : first + 2]
    return [
        (length if length > 0 else paddle.shape(x)[first + index]) * int(factor)
        for index, (length, factor) in enumerate(zip(known, scale))
    ]


def _pad3d(n: Arguments) -> Call:
    places = {"mode": n["mode"], "value": n["pad_value"], "data_format": layout_of(n)}
    return F.pad, [n.x(), n.static(1)], places


def _pad(n: Arguments) -> Call:
    return F.pad, [n.x(), list(n["paddings"])], {"mode": "constant", "value": n.number(1)}


def _layer_norm(n: Arguments) -> Call:
    return layer_norm, [n.x(), n.x(1), n.x(2), n["epsilon"], n["begin_norm_axis"]], {}


def layer_norm(x: Any, weight: Any, bias: Any, epsilon: float, axis: int) -> Any:
    """Over the axes from `axis` on; with parameters that are computed, or none."""
    if paddle.__version__.startswith("2.") and not paddle.in_dynamic_mode():
        # It asks `if weight`, which a parameter can't answer there.
        weight, bias = (None if p is None else paddle.assign(p) for p in (weight, bias))
    return F.layer_norm(x, x.shape[axis:], weight, bias, epsilon)


def _group_norm(n: Arguments) -> Call:
    if paddle.__version__.startswith("2."):
        raise unsupported("a group_norm without parameters, which Paddle 2 has no function for")
    return F.group_norm, [n.x(), n["groups"], n["epsilon"], n.x(1), n.x(2), layout_of(n)], {}


def _instance_norm(n: Arguments) -> Call:
    return F.instance_norm, [n.x()], {"weight": n.x(1), "bias": n.x(2), "eps": n["epsilon"]}


def _grid_sample(n: Arguments) -> Call:
    return F.grid_sample, [n.x(), n.x(1), n["mode"], n["padding_mode"], n["align_corners"]], {}


def _deformable(n: Arguments) -> Call:
    settings = {
        "stride": n["strides"],
        "padding": n["paddings"],
        "dilation": n["dilations"],
        "deformable_groups": n["deformable_groups"],
        "groups": n["groups"],
        "mask": n.x(3),
    }
    return paddle.vision.ops.deform_conv2d, [n.x(), n.x(1), n.x(2)], settings


FUNCTIONS: dict[str, Entry] = {
    "conv2d": _convolution,
    "depthwise_conv2d": _convolution,
    "pool2d": _pool,
    "max_pool2d_with_index": _pool_with_index,
    "nearest_interp": _resize,
    "bilinear_interp": _resize,
    "bicubic_interp": _resize,
    "pad3d": _pad3d,
    "pad": _pad,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "grid_sample": _grid_sample,
    "deformable_conv": _deformable,
    "pixel_shuffle": of_tensors(
        F.pixel_shuffle, upscale_factor="upscale_factor", data_format="data_format"
    ),
}
