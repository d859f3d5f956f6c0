"""Folding: the arrays compute what the layer computes, on shapes that hurt."""

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import SPConv2D
from spconvify.deploy.folding import fold_into_convolution
from spconvify.operators.spconv.folded import fold


def random_layer(fusion, **options):
    return nets.trained(SPConv2D(8, 12, fusion=fusion, bias_attr=None, **options))


def by_the_formula(folded, x):
    """Equations 2 to 7 with the folded arrays, by Paddle's functions on the channels as they come."""
    layer = folded.layer
    f = paddle.nn.functional
    tensor = {key: paddle.to_tensor(getattr(folded, key).astype("float32")) for key in (
        "gwc", "pwc", "uncertain", "bias3", "bias1")}  # fmt: skip
    x3, x1 = (
        paddle.index_select(x, paddle.to_tensor(i), axis=1) for i in (folded.representative, folded.rest)
    )
    spread = f.conv2d(x3, tensor["gwc"], tensor["bias3"], layer.stride, 1, groups=layer.groups)
    y3 = spread + f.conv2d(layer._pool(x3), tensor["pwc"][:, :, None, None])
    y1 = f.conv2d(layer._pool(x1), tensor["uncertain"][:, :, None, None], tensor["bias1"])
    if folded.scale is None:
        return y3 + y1
    scale = paddle.to_tensor(folded.scale.astype("float32")).reshape([1, -1, 1, 1])
    gate = f.sigmoid(scale * (y3 - y1).mean([2, 3], keepdim=True))
    return y1 + gate * (y3 - y1)


def assert_close(actual, expected):
    scale = float(expected.abs().max())
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=0, atol=2e-5 * scale)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize("with_norm", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_folded_arrays_compute_the_layer(fusion, with_norm, stride):
    order = [3, 7, 1, 0, 2, 6, 5, 4]
    layer = random_layer(fusion, ratio=0.5, stride=stride, channels=order)
    norm = nets.trained(nn.BatchNorm2D(12), seed=1) if with_norm else None
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal((3, 8, 7, 9), dtype="float32"))
    with paddle.no_grad():
        expected = layer(x) if norm is None else norm(layer(x))
        assert_close(by_the_formula(fold(layer, norm), x), expected)


def test_channels_are_sorted_within_groups():
    folded = fold(random_layer("sum", ratio=0.5, channels=[3, 1, 7, 0, 6, 5, 4, 2]))
    assert folded.representative.tolist() == [1, 3, 0, 7]
    assert folded.rest.tolist() == [2, 4, 5, 6]


def test_a_channel_that_the_norm_switches_off():
    layer, norm = random_layer("gap"), nets.trained(nn.BatchNorm2D(12))
    gain = norm.weight.numpy()
    gain[3], gain[5] = 0.0, -gain[5]
    norm.weight.set_value(gain)
    folded = fold(layer, norm)
    x = paddle.to_tensor(np.random.default_rng(0).standard_normal((2, 8, 5, 5), dtype="float32"))
    with paddle.no_grad():
        assert np.isfinite(folded.scale).all()
        assert_close(by_the_formula(folded, x), norm(layer(x)))


@pytest.mark.parametrize("bias", [None, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_norm_in_a_convolution(bias, dtype):
    paddle.set_default_dtype(dtype)
    try:
        conv = nn.Conv2D(4, 6, 3, bias_attr=bias, groups=2)
        norm = nets.trained(nn.BatchNorm2D(6))
        norm.to(dtype=dtype)
    finally:
        paddle.set_default_dtype("float32")
    x = paddle.randn([2, 4, 6, 6]).astype(dtype)
    with paddle.no_grad():
        expected = norm(conv(x))
        fold_into_convolution(conv, norm)
        assert conv.bias.dtype == conv.weight.dtype == x.dtype
        assert_close(conv(x), expected)
