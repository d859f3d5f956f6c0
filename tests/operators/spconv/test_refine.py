"""Rounds of refitting: never worse than the closed form, and exact about the gate."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest
from calibration_networks import images

from spconvify.calibration.capture import Call
from spconvify.calibration.image_means import ImageMeans
from spconvify.calibration.moments import Geometry, Moments
from spconvify.calibration.observations import Observations, Part
from spconvify.calibration.output_path import OutputPath
from spconvify.operators.spconv.assign import assign_fit
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.reconstruct import Request, reconstruct

RELU = (0.0, math.inf)


def observe(clip=RELU, shortcut=False, stride=1, budget=2**27, gain=None):
    """Observations of a random convolution on 8 channels."""
    x = images(24).transpose(0, 2, 3, 1)
    kernel = paddle.to_tensor(np.random.default_rng(1).standard_normal((8, 8, 3, 3)) * 0.2, "float32")
    channels_first = paddle.to_tensor(x.transpose(0, 3, 1, 2))
    y = paddle.nn.functional.conv2d(channels_first, kernel, stride=stride, padding=1)
    y = y.numpy().transpose(0, 2, 3, 1)
    gain = np.linspace(0.5, 2, 8, dtype="float32") if gain is None else gain
    data = Observations(
        Geometry(stride),
        len(x),
        OutputPath(gain, np.linspace(-1, 0.5, 8, dtype="float32"), clip),
        budget=budget,
        image_means=True,
    )
    sums = (x, x + 0.2) if shortcut else (None, None)
    data.add([Call(x, y, sums[0])], [Call(x, y, sums[1])])
    return data, x


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("shortcut", [False, True])
def test_rounds_never_do_worse_and_the_relu_makes_it_easier(gap, shortcut):
    data, _ = observe(shortcut=shortcut)
    errors = []
    for rounds in (0, 8):
        found = reconstruct(data, Request(groups=2, per_group=2, gap=gap, rounds=rounds))
        errors.append(found.fit.error)
        assert (found.gate is not None) == gap
    assert errors[1] < errors[0]


def test_without_activation_the_closed_form_is_final():
    data, _ = observe(clip=(-math.inf, math.inf))
    plain, refined = (reconstruct(data, Request(2, 2, rounds=n)).fit for n in (0, 8))
    np.testing.assert_array_equal(plain.gwc, refined.gwc)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize("stride", [1, 2])
def test_the_error_is_the_one_that_the_layer_makes(fusion, stride):
    """The layer itself, with the assigned weights, in Paddle."""
    data, x = observe(stride=stride)
    found = reconstruct(data, Request(2, 2, gap=fusion == "gap"))
    layer = SPConv2D(8, 8, stride, fusion=fusion, bias_attr=None, channels=range(8))
    layer.eval()
    assign_fit(layer, found.fit, found.gate)
    with paddle.no_grad():
        y = layer(paddle.to_tensor(x.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    left_out = np.arange(len(y)) % 4 == 3  # these images' rows come last
    y = np.concatenate([y[~left_out], y[left_out]])
    seen = data.path.seen(data.path.outward(y)).reshape(-1, 8)
    wanted = data.path.seen(np.concatenate([part.wanted for part in data.parts]))
    missed = np.square(seen - wanted).sum() / np.square(wanted - wanted.mean(0)).sum()
    assert found.fit.error == pytest.approx(missed, rel=1e-3)


def test_a_budget_takes_the_same_number_of_positions_from_every_image():
    everything, _ = observe()
    data, _ = observe(budget=24 * 72 * 30)
    assert (everything.rows, data.rows) == (24 * 100, 24 * 30)
    full, sampled = (reconstruct(d, Request(2, 2)).fit.error for d in (everything, data))
    assert sampled == pytest.approx(full, rel=0.3)


def test_an_output_that_the_batchnorm_mutes_does_not_spoil_the_others():
    gain = np.array([1.0] * 7 + [1e-7], "float32")
    fit = reconstruct(observe(gain=gain)[0], Request(2, 2)).fit
    assert np.abs(fit.gwc).max() < 10
    assert fit.error < 0.6


def test_image_means_are_rows_of_their_own():
    random = np.random.default_rng(0)
    features, target = (random.standard_normal((12, width)).astype("float32") for width in (4, 2))
    image = np.repeat([0, 1, 2], 4)
    empty = Moments(np.zeros((4, 4)), np.zeros((4, 2)), np.zeros(2), np.zeros(4), np.zeros(2), 12, 2)
    means = ImageMeans([Part(features, target, None, image)], empty, weight=3.0)
    moments = means.with_targets(means.with_gram(empty), [target])
    rows, wanted = features.reshape(3, 4, 4).mean(1), target.reshape(3, 4, 2).mean(1)
    np.testing.assert_allclose(moments.gram, rows.T @ rows, rtol=1e-5)  # 3 x 4 positions / 12 rows
    np.testing.assert_allclose(moments.cross, rows.T @ wanted, rtol=1e-5)
    assert means.energy([target]) == pytest.approx(np.square(wanted).sum(), rel=1e-5)
