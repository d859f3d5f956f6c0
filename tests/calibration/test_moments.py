"""Moments of a convolution's features: the geometry is Paddle's, the sums are numpy's."""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from spconvify.calibration.moments import (
    Geometry,
    MomentsAccumulator,
    Positions,
    feature_rows,
    retargeted,
)


def images(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def everywhere(x, geometry):
    height, width = geometry.out_size(x.shape[1]), geometry.out_size(x.shape[2])
    return Positions().choose(len(x), height, width, 0), height, width


GEOMETRIES = [
    Geometry(),
    Geometry(stride=2),
    Geometry(padding=0),
    Geometry(stride=2, padding=0),
    Geometry(dilation=2, padding=2),
    Geometry(dilation=2, padding=0),
    Geometry(padding="SAME"),
    Geometry(stride=2, padding="SAME"),
    Geometry(padding_mode="reflect"),
    Geometry(stride=2, padding_mode="replicate"),
    Geometry(padding_mode="circular"),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_features_give_what_the_layer_computes(geometry, size):
    """A random SPConv, as one matrix on the features, equals Paddle's layer."""
    from spconvify.operators.spconv.layer import SPConv2D

    paddle.seed(0)
    layer = SPConv2D(
        6,
        4,
        geometry.stride,
        fusion="sum",
        groups=1,
        dilation=geometry.dilation,
        padding=geometry.padding,
        padding_mode=geometry.padding_mode,
    )
    x = images((2, *size, 6))
    expected = layer(paddle.to_tensor(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    where, height, width = everywhere(x, geometry)
    assert (height, width) == expected.shape[1:3]

    taps = len(geometry.taps)
    gwc = layer.gwc.weight.numpy().reshape(4, 3, 9)
    weights = np.zeros((6 * (taps + 1), 4), "float32")
    weights[: 3 * taps] = gwc[:, :, list(geometry.taps)].reshape(4, -1).T
    pointwise = np.concatenate([layer.pwc.weight.numpy(), layer.conv1x1.weight.numpy()], 1)[:, :, 0, 0]
    if geometry.stride == 1:
        pointwise[:, :3] += gwc[:, :, 4]
    weights[6 * taps :] = pointwise.T
    got = feature_rows(x, geometry, where) @ weights
    np.testing.assert_allclose(got.reshape(expected.shape), expected, atol=2e-6)


def test_moments_are_the_covariances_of_the_unrolled_rows():
    geometry, x = Geometry(stride=2), 3 + np.abs(images((3, 9, 8, 4)))
    target = images((3, 5, 4, 6), seed=1) - 7
    rows, flat = feature_rows(x, geometry, everywhere(x, geometry)[0]), target.reshape(-1, 6)
    accumulator = MomentsAccumulator(4)
    for part in (slice(0, 7), slice(7, 60)):
        accumulator.add(rows[part], flat[part])
    moments = accumulator.result()

    rows, flat = rows.astype("float64"), flat.astype("float64")
    joint = np.cov(np.hstack([rows, flat]).T, bias=True)
    np.testing.assert_allclose(moments.gram, joint[:-6, :-6], atol=1e-5)
    np.testing.assert_allclose(moments.cross, joint[:-6, -6:], atol=1e-5)
    np.testing.assert_allclose(moments.power, np.diag(joint)[-6:], rtol=1e-6)
    np.testing.assert_allclose(moments.feature_mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(moments.target_mean, flat.mean(0), rtol=1e-5)
    assert moments.rows == 60


def test_no_intercept_keeps_the_raw_moments():
    x, target = 3 + images((2, 5, 5, 3)), images((2, 5, 5, 2)) - 7
    rows = feature_rows(x, Geometry(), everywhere(x, Geometry())[0])
    accumulator = MomentsAccumulator(3, intercept=False)
    accumulator.add(rows, target.reshape(-1, 2))
    moments = accumulator.result()
    np.testing.assert_allclose(moments.gram, rows.T @ rows / len(rows), rtol=1e-5)
    assert not moments.feature_mean.any()
    assert not moments.target_mean.any()


def test_a_sample_is_seeded_and_the_same_number_for_every_image():
    positions = Positions(per_image=5, seed=1)
    image, row, column = positions.choose(3, 6, 7, call=0)
    assert np.bincount(image).tolist() == [5, 5, 5]
    assert len(set(zip(image, row, column))) == 15
    assert row.max() < 6
    assert column.max() < 7
    again = positions.choose(3, 6, 7, call=0)
    assert all(np.array_equal(a, b) for a, b in zip(again, (image, row, column)))
    assert not np.array_equal(positions.choose(3, 6, 7, call=1)[1], row)


def test_a_float32_block_costs_no_accuracy():
    """Large means don't cancel: the products are taken about the first block's mean."""
    x = 100 + images((4, 16, 16, 8))
    rows = feature_rows(x, Geometry(), everywhere(x, Geometry())[0])
    accumulator = MomentsAccumulator(8)
    accumulator.add(rows, rows[:, :2])
    moments = accumulator.result()
    exact = np.cov(rows.astype("float64").T, bias=True)
    # the first block's mean is exact here, so what's left is float32 rounding of the products
    assert np.abs(moments.gram - exact).max() < 2e-5 * np.abs(exact).max()


@pytest.mark.parametrize("intercept", [True, False])
def test_new_targets_give_the_moments_of_a_new_accumulation(intercept):
    rows, first, second = 2 + images((50, 12)), images((50, 3), 1), 5 + images((50, 3), 2)

    def accumulated(target):
        accumulator = MomentsAccumulator(3, intercept=intercept)
        accumulator.add(rows, target)
        return accumulator.result()

    expected = accumulated(second)
    got = retargeted(accumulated(first), [(rows[:20], second[:20]), (rows[20:], second[20:])])
    np.testing.assert_allclose(got.cross, expected.cross, atol=1e-5)
    np.testing.assert_allclose(got.power, expected.power, rtol=1e-5)
    np.testing.assert_allclose(got.target_mean, expected.target_mean, rtol=1e-6)


def test_average_pooling_is_paddles():
    x = images((2, 7, 5, 3))
    ours = Geometry(stride=2).pooled(x)
    theirs = F.avg_pool2d(paddle.to_tensor(x), 2, 2, ceil_mode=True, data_format="NHWC").numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
