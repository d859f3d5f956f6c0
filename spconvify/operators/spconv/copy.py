"""init="copy": the kernels that stay 3x3 are kept, the others shrink to the sum of their taps."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle

from spconvify.operators.spconv.layer import SPConv2D


def copy_weights(spconv: SPConv2D, conv: Any) -> None:
    """Fill `spconv` from the dense 3x3 `conv` that it replaces.

    GWC takes its own block of the kernel. Every other kernel becomes a 1x1 with the sum of its nine
    taps, which is exact where the input is constant over the window: the best simple choice for
    smooth inputs. With fusion "gap" both BatchNorms start as x2, since the gate's mean is 1/2, and
    carry the bias (the two gates add up to 1).
    """
    kernel = conv.weight.astype("float32").numpy()
    if spconv.channels is not None:
        kernel = kernel[:, spconv.channels.numpy()]
    gwc, pwc, conv1x1 = split_kernel(kernel, spconv.representative, spconv.groups)
    assign(spconv.gwc.weight, gwc)
    assign(spconv.pwc.weight, pwc)
    assign(spconv.conv1x1.weight, conv1x1)
    bias = np.zeros(spconv.out_channels, "float32")
    if conv.bias is not None:
        bias = conv.bias.astype("float32").numpy()
    own_bias = spconv.conv1x1.bias
    if own_bias is not None:
        assign(own_bias, bias if spconv.fusion == "sum" else np.zeros_like(bias))
    if spconv.fusion == "gap":
        for norm in (spconv.bn1, spconv.bn2):
            gain = 2.0 * np.sqrt(1.0 + norm._epsilon)  # running mean 0, variance 1
            assign(norm.weight, np.full(spconv.out_channels, gain, "float32"))
            assign(norm.bias, bias)


def split_kernel(kernel: np.ndarray, representative: int, groups: int) -> tuple[np.ndarray, ...]:
    """A dense kernel (L, C, 3, 3), representative channels first -> gwc, pwc and conv1x1 weights.

    Shapes: (L, r / groups, 3, 3), (L, r, 1, 1), (L, C - r, 1, 1).
    """
    taps = kernel.sum(axis=(2, 3), keepdims=True)
    pwc = taps[:, :representative].copy()
    rows, columns = kernel.shape[0] // groups, representative // groups
    blocks = []
    for group in range(groups):
        own_rows = slice(group * rows, (group + 1) * rows)
        own_columns = slice(group * columns, (group + 1) * columns)
        blocks.append(kernel[own_rows, own_columns])
        pwc[own_rows, own_columns] = 0.0
    return np.concatenate(blocks), pwc, taps[:, representative:]


def assign(parameter: paddle.Tensor, value: np.ndarray) -> None:
    """Set a parameter from a float array, in the parameter's own dtype."""
    parameter.set_value(paddle.to_tensor(np.ascontiguousarray(value)).astype(parameter.dtype))
