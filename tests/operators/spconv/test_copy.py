"""init="copy" on kernels where it is exact, and how gap starts."""

import networks as nets
import numpy as np
import paddle
import pytest

from spconvify import convert
from spconvify.operators.spconv.copy import split_kernel


def structured_conv(groups, representative, stride=1):
    """A dense convolution whose kernel already has SPConv's structure: 3x3 in its blocks, 1x1 else."""
    conv = nets.trained(nets.conv(16, 8, stride=stride))
    kernel = conv.weight.numpy()
    keep = np.zeros_like(kernel)
    rows, columns = 8 // groups, representative // groups
    for g in range(groups):
        keep[g * rows : (g + 1) * rows, g * columns : (g + 1) * columns] = 1
    keep[:, :, 1, 1] = 1
    conv.weight.set_value(paddle.to_tensor(kernel * keep))
    return conv


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_exact_where_the_kernel_has_the_structure(groups, ratio):
    conv = structured_conv(groups, int(16 * ratio))
    x = paddle.randn([3, 16, 9, 10])
    converted = convert(conv, ratio, groups, fusion="sum")
    np.testing.assert_allclose(converted(x).numpy(), conv(x).numpy(), rtol=1e-4, atol=2e-5)


def test_gap_halves_come_out_doubled():
    """With equal halves the gate is 1/2 and both BatchNorms are x2: Y = Y3 + Y1 + bias."""
    conv = nets.trained(nets.conv(16, 8))
    conv.weight.set_value(paddle.tile(conv.weight[:, :8], [1, 2, 1, 1]))
    conv.weight.set_value(conv.weight.sum(axis=[2, 3], keepdim=True) * paddle.eye(3)[1:2] / 1.0
                          * paddle.eye(3)[:, 1:2])  # fmt: skip
    half = paddle.randn([2, 8, 6, 7])
    x = paddle.concat([half, half], axis=1)
    np.testing.assert_allclose(
        convert(conv, fusion="gap")(x).numpy(), conv(x).numpy(), rtol=1e-3, atol=1e-4
    )


def test_split_kernel_keeps_every_tap_sum():
    kernel = np.random.default_rng(0).standard_normal((8, 12, 3, 3))
    gwc, pwc, conv1x1 = split_kernel(kernel, 8, 2)
    assert (gwc.shape, pwc.shape, conv1x1.shape) == ((8, 4, 3, 3), (8, 8, 1, 1), (8, 4, 1, 1))
    total = pwc[:, :, 0, 0].copy()
    total[:4, :4] += gwc[:4].sum(axis=(2, 3))
    total[4:, 4:] += gwc[4:].sum(axis=(2, 3))
    np.testing.assert_allclose(total, kernel[:, :8].sum(axis=(2, 3)))
