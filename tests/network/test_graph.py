"""Which layers are BatchNorms that use their statistics, and nothing else."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from calibration_networks import images
from paddle import nn

import spconvify
from spconvify.network.graph import record, uses_statistics
from spconvify.network.outputs import flatten


class Twice(nn.BatchNorm2D):
    def forward(self, x):
        return super().forward(x) * 2


class Adaptive(nn.BatchNorm2D):
    def forward(self, x):
        return F.batch_norm(
            x, self._mean, self._variance, self.weight, self.bias, training=True, momentum=1.0
        )


class PlusOne(nn.BatchNorm2D):
    def forward(self, x):
        return F.batch_norm(x, self._mean, self._variance, self.weight + 1.0, self.bias)


class ConvNorm(nn.Layer):
    """Calls the function with statistics of its own."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2D(channels, channels, 3, padding=1)
        self.weight = self.create_parameter([channels])
        self.bias = self.create_parameter([channels], is_bias=True)
        self.register_buffer("_mean", paddle.zeros([channels]) + 0.1)
        self.register_buffer("_variance", paddle.ones([channels]) * 2)

    def forward(self, x):
        return F.batch_norm(self.conv(x), self._mean, self._variance, self.weight, self.bias)


class Renamed(nn.BatchNorm2D):
    """A subclass that changes nothing."""


def replaced_forward(channels):
    norm = nn.BatchNorm2D(channels)
    norm.forward = lambda x, plain=norm.forward: plain(x) * 2
    return norm


def block(*layers):
    model = nn.Sequential(nn.Conv2D(3, 16, 3, padding=1), nn.ReLU(), *layers, nn.ReLU())
    for norm in model.sublayers():
        if hasattr(norm, "_variance"):
            norm._variance.set_value(np.linspace(0.5, 2, norm._variance.shape[0]).astype("float32"))
    model.eval()
    return model


def conv():
    return nn.Conv2D(16, 16, 3, padding=1)


OTHERS = {
    "a factor behind": lambda: [conv(), Twice(16)],
    "the batch's statistics": lambda: [conv(), Adaptive(16)],
    "another weight": lambda: [conv(), PlusOne(16)],
    "no BatchNorm layer": lambda: [ConvNorm(16)],
    "a forward of the layer's own": lambda: [conv(), replaced_forward(16)],
}


@pytest.mark.parametrize("layers", OTHERS.values(), ids=OTHERS)
def test_others_stay_as_they_are_and_are_no_obstacle(layers):
    model, x = block(*layers()), images(16, channels=3, size=12)
    fused = spconvify.fuse(model, input_shape=x.shape)
    np.testing.assert_allclose(
        fused(paddle.to_tensor(x)).numpy(), model(paddle.to_tensor(x)).numpy(), rtol=1e-4, atol=1e-5
    )
    slim = spconvify.convert(model, fusion="sum", init="lstsq", calibration=[x])
    spconvify.fuse(slim, input_shape=x.shape)


@pytest.mark.parametrize("norm", [Renamed, nn.BatchNorm2D, nn.BatchNorm])
def test_a_class_of_ones_own_that_changes_nothing_is_folded(norm):
    fused = spconvify.fuse(block(conv(), norm(16)), input_shape=(2, 3, 12, 12))
    assert not any(hasattr(layer, "_variance") for layer in fused.sublayers())


@pytest.mark.parametrize(("own", "others"), [("NCHW", "NHWC"), ("NHWC", "NCHW")])
def test_a_norm_over_another_axis_is_none_of_the_convolutions(own, others):
    layers = nn.Conv2D(3, 8, 3, padding=1, data_format=own), nn.BatchNorm2D(8, data_format=others)
    model = nn.Sequential(*layers)
    model.eval()
    shape = [2, 3, 8, 8] if own == "NCHW" else [2, 8, 8, 3]
    x = paddle.randn(shape)
    graph = record(model, {"0": model[0]}, x)
    (operation,) = [operation for operation in graph.operations if operation.name == "batch_norm"]
    assert uses_statistics(operation, others)
    assert not uses_statistics(operation, own)
    fused = spconvify.fuse(model, input_shape=shape)
    np.testing.assert_allclose(fused(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-5)


class Counts(nn.Layer):
    """What people register on their layers beside the weights, and a weight that is read elsewhere."""

    def __init__(self, what):
        super().__init__()
        self.a, self.norm, self.b = nn.Conv2D(3, 16, 3, padding=1), nn.BatchNorm2D(16), conv()
        self.what, self.weights = what, [self.a.weight]
        if what == "norm":
            self.norm.register_buffer("num_batches_tracked", paddle.zeros([1], "int64"))
        if what == "convolution":
            self.a.register_buffer("steps", paddle.zeros([1]))

    def forward(self, x):
        y = self.b(F.relu(self.norm(self.a(x))))
        return (y, self.weights[0][:2].square().sum().reshape([1])) if self.what == "weight" else y


@pytest.mark.parametrize("what", ["nothing", "norm", "convolution", "weight"])
def test_what_isnt_an_output_channels_own_is_never_reordered(what):
    model = Counts(what)
    model.eval()
    x = images(32, channels=3, size=12)
    slim = spconvify.convert(model, fusion="sum", init="lstsq", calibration=[x])
    slim.eval()
    fused, x = spconvify.fuse(slim, input_shape=x.shape), paddle.to_tensor(x)
    for ours, theirs in zip(flatten(fused(x)).values(), flatten(slim(x)).values()):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-3)
