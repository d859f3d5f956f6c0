"""Copied weights as a solution of the least-squares problem: what the layer itself computes."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from calibration_networks import images
from paddle import nn

from spconvify.calibration.capture import Call
from spconvify.calibration.moments import Geometry
from spconvify.calibration.observations import Observations
from spconvify.calibration.output_path import OutputPath
from spconvify.operators.spconv.copy import copy_weights
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.prior import copied_weights, judge_copy


def dense(stride):
    paddle.seed(3)
    conv = nn.Conv2D(8, 8, 3, stride=stride, padding=1)
    conv.bias.set_value(paddle.randn([8]))
    return conv


def run(layer, x):
    layer.eval()
    with paddle.no_grad():
        return layer(paddle.to_tensor(x)).numpy().transpose(0, 2, 3, 1)


def observe(conv, x, gap):
    path = OutputPath(np.ones(8, "float32"), np.zeros(8, "float32"), (0.0, np.inf))
    data = Observations(Geometry(conv._stride[0]), len(x), path, image_means=gap)
    call = Call(x.transpose(0, 2, 3, 1), run(conv, x))
    data.add([call], [call])
    return data


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize("stride", [1, 2])
def test_judges_what_the_copied_layer_does(fusion, stride):
    conv, x = dense(stride), images(16)
    spconv = SPConv2D(8, 8, stride, fusion=fusion, bias_attr=None)
    copy_weights(spconv, conv)
    left_out = x[3::4]
    wanted, found = (np.maximum(run(layer, left_out), 0).reshape(-1, 8) for layer in (conv, spconv))
    missed = np.square(wanted - found).sum() / np.square(wanted - wanted.mean(0)).sum()
    data = observe(conv, x, fusion == "gap")
    score = judge_copy(data, conv.weight.numpy(), conv.bias.numpy(), spconv)
    assert score.error == pytest.approx(missed, rel=1e-3)


@pytest.mark.parametrize("stride", [1, 2])
def test_of_any_split_of_the_channels(stride):
    conv, x = dense(stride), images(4)
    split = [[6, 1], [3, 4]]
    spconv = SPConv2D(8, 8, stride, fusion="sum", channels=[6, 1, 3, 4, 0, 2, 5, 7])
    copy_weights(spconv, conv)
    data = observe(conv, x, False)
    weights = copied_weights(conv.weight.numpy(), Geometry(stride), split)
    rows = np.concatenate([part.features for part in data.parts]) @ weights + conv.bias.numpy()
    wanted = run(spconv, x) + conv.bias.numpy()
    np.testing.assert_allclose(rows, wanted.reshape(-1, 8), atol=1e-5)
