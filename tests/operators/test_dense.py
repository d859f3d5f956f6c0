"""Dense convolutions fitted anew: their features, and that nothing changes where nothing has to."""

import numpy as np
import paddle
import pytest
from calibration_networks import Residual, images, settled
from paddle import nn

import spconvify
from spconvify.calibration.moments import Positions
from spconvify.calibration.windows import Windows
from spconvify.surgery.changes import Refit
from spconvify.surgery.planning import Plan

SETTINGS = [
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 3, "padding": 1, "stride": 2},
    {"kernel_size": 1, "stride": 2},
    {"kernel_size": (5, 3), "padding": (2, 0), "stride": (1, 2)},
    {"kernel_size": 3, "padding": [1, 0, 2, 1], "dilation": 2},
    {"kernel_size": 3, "padding": "SAME", "stride": 2},
    {"kernel_size": 3, "padding": "SAME", "dilation": 2},
    {"kernel_size": 3, "padding": "VALID"},
    {"kernel_size": 3, "padding": 2, "padding_mode": "reflect"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("size", [(9, 11), (8, 8)])
def test_features_times_weights_are_the_convolution(settings, size):
    conv = nn.Conv2D(3, 5, bias_attr=False, **settings)
    x = np.random.default_rng(0).standard_normal((3, 3, *size)).astype("float32")
    wanted = conv(paddle.to_tensor(x)).numpy().transpose(0, 2, 3, 1)
    where = Positions().choose(3, *wanted.shape[1:3], 0)
    rows = Windows.of(conv).rows(x.transpose(0, 2, 3, 1), where)
    given = rows @ conv.weight.numpy().reshape(5, -1).T
    np.testing.assert_allclose(given, wanted.reshape(-1, 5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_layer_that_sees_what_it_always_saw_stays_as_it_is(data_format, stride):
    x = images(24, 8, 11)
    x = x if data_format == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    model = settled(Residual(8, stride, data_format), x)
    plan = Plan([Refit("conv1"), Refit("conv2")])
    new = spconvify.convert(model, plan=plan, init="lstsq", calibration=[x])
    wanted = model(paddle.to_tensor(x)).numpy()
    np.testing.assert_allclose(
        new(paddle.to_tensor(x)).numpy(), wanted, atol=2e-3 * np.abs(wanted).max()
    )


def test_a_shift_goes_into_the_mean_of_the_batchnorm():
    x = images(32, 8, 10)
    model = settled(Residual(8), x)
    plan = spconvify.plan(model, 0.25, 2, include="conv1")
    plan.changes.append(Refit("conv2"))
    new = spconvify.convert(model, plan=plan, init="lstsq", calibration=[x])
    assert new.conv2.bias is None
    assert not np.allclose(new.bn2._mean.numpy(), model.bn2._mean.numpy())
    alone = spconvify.convert(model, 0.25, 2, include="conv1", init="lstsq", calibration=[x])
    tensor = paddle.to_tensor(x)
    errors = [float(((net(tensor) - model(tensor)) ** 2).mean()) for net in (new, alone)]
    assert errors[0] < 0.9 * errors[1]
