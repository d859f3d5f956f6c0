"""What follows a convolution, found from the operators that ran."""

from __future__ import annotations

import math

import paddle
import pytest
from calibration_networks import Residual
from paddle import nn

from spconvify.calibration.trace import trace

RELU = (0.0, math.inf)


def conv(channels=4):
    return nn.Conv2D(channels, channels, 3, padding=1)


def traced(model, layers, shape=(1, 4, 6, 6)):
    model.eval()
    with paddle.no_grad():
        return trace(model, layers, paddle.ones(shape))


class Net(nn.Layer):
    """One convolution, and a function of (network, input) for the rest."""

    def __init__(self, run):
        super().__init__()
        self.conv, self.bn, self.run = conv(), nn.BatchNorm2D(4), run
        self.place = self.create_parameter([1, 4, 6, 6])

    def forward(self, x):
        return self.run(self, x)


def tail_of(run):
    net = Net(run)
    calls = traced(net, {"conv": net.conv}, (2, 4, 6, 6))["conv"]
    tail = calls.tail
    return calls.number, tail.norm is net.bn, tail.adds, tail.clip


F = nn.functional
CASES = {
    "nothing": (lambda n, x: n.conv(x), (1, False, False, None)),
    "relu": (lambda n, x: F.relu(n.conv(x)), (1, False, False, RELU)),
    "relu6": (lambda n, x: F.relu6(n.bn(n.conv(x))), (1, True, False, (0.0, 6.0))),
    "norm": (lambda n, x: F.silu(n.bn(n.conv(x))), (1, True, False, None)),
    "shortcut": (lambda n, x: F.relu(n.bn(n.conv(x)) + x), (1, True, True, RELU)),
    "shortcut first": (lambda n, x: F.relu(x + n.bn(n.conv(x))), (1, True, True, RELU)),
    "relu before the addition": (lambda n, x: F.relu(n.bn(n.conv(x))) + x, (1, True, False, RELU)),
    "a parameter for all images": (
        lambda n, x: F.relu(n.bn(n.conv(x)) + n.place),
        (1, True, True, RELU),
    ),
    "a parameter for all positions": (
        lambda n, x: F.relu(n.bn(n.conv(x)) + n.place[:, :, :1, :1]),
        (1, True, True, RELU),
    ),
    "a smaller one is added to": (
        lambda n, x: F.relu(n.conv(x[:1]) + x),
        (1, False, False, None),
    ),
    "norm after the addition": (lambda n, x: F.relu(n.bn(n.conv(x) + x)), (1, False, True, None)),
    "a broadcast bias is no shortcut": (
        lambda n, x: F.relu(n.conv(x) + x.mean()),
        (1, False, False, None),
    ),
    "added to itself": (lambda n, x: (lambda y: F.relu(y + y))(n.conv(x)), (1, False, False, None)),
    "also sliced": (
        lambda n, x: (lambda y: (F.relu(n.bn(y)), y[:, :1]))(n.conv(x)),
        (1, False, False, None),
    ),
    "also compared": (lambda n, x: (lambda y: (F.relu(y), y > 1))(n.conv(x)), (1, False, False, None)),
    "also gated": (
        lambda n, x: (lambda y: F.relu(y) * F.sigmoid(y))(n.conv(x)),
        (1, False, False, None),
    ),
    "used twice": (
        lambda n, x: (lambda y: F.relu(y) * F.sigmoid(y))(n.conv(x)),
        (1, False, False, None),
    ),
    "returned too": (lambda n, x: (lambda y: [y, F.relu(y)])(n.conv(x)), (1, False, False, None)),
    "called twice alike": (lambda n, x: F.relu(n.conv(F.relu(n.conv(x)))), (2, False, False, RELU)),
    "called twice differently": (lambda n, x: n.conv(F.relu(n.conv(x))), (2, False, False, None)),
}


@pytest.mark.parametrize(("run", "expected"), CASES.values(), ids=CASES)
def test_tail(run, expected):
    assert tail_of(run) == expected


def test_order_is_that_of_the_calls_and_unreached_layers_are_left_out():
    net = Net(lambda n, x: n.conv(n.later(x)))
    net.later, net.never = conv(), conv()
    assert list(traced(net, {"conv": net.conv, "never": net.never, "later": net.later})) == [
        "later",
        "conv",
    ]
    assert not net.conv._forward_post_hooks


def test_a_training_batchnorm_is_not_folded():
    net = Net(lambda n, x: n.bn(n.conv(x)))
    net.train()
    with paddle.no_grad():
        assert trace(net, {"conv": net.conv}, paddle.ones([1, 4, 6, 6]))["conv"].tail.norm is None


def test_the_path_is_the_batchnorm():
    block = Residual()
    block.bn1._mean.set_value(paddle.full([8], 0.5))
    block.bn1.weight.set_value(paddle.linspace(-1, 2, 8))
    calls = traced(block, {"conv1": block.conv1}, (1, 8, 6, 6))
    path = calls["conv1"].tail.path(8)
    x = paddle.randn([1, 8, 3, 3])
    expected = block.bn1(x).numpy()
    got = path.outward(x.numpy().transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert abs(got - expected).max() < 1e-5


def test_real_networks_have_the_expected_tails():
    net = paddle.vision.models.resnet18()
    layers = {name: layer for name, layer in net.named_sublayers() if isinstance(layer, nn.Conv2D)}
    calls = traced(net, layers, (1, 3, 32, 32))
    assert [calls["layer2.0.conv1"].tail.adds, calls["layer2.0.conv2"].tail.adds] == [False, True]
    assert calls["layer2.0.conv2"].tail.norm is net.layer2[0].bn2
    assert calls["layer2.0.conv2"].tail.clip == RELU
    assert calls["layer2.0.downsample.0"].tail.adds


@pytest.mark.parametrize(("act", "clip"), [("relu", RELU), ("relu6", (0.0, 6.0)), ("tanh", None)])
def test_the_activation_of_an_older_norm(act, clip):
    net = nn.Sequential(conv(), nn.BatchNorm(4, act=act))
    tail = traced(net, {"conv": net[0]})["conv"].tail
    assert (tail.norm is net[1], tail.adds, tail.clip) == (True, False, clip)
