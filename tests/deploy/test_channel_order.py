"""The order of scattered channels goes into the layer before: same outputs, only where it is safe."""

import copy

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import fuse
from spconvify.deploy.channel_order import put_side_by_side
from spconvify.deploy.tune import choose_forms
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.parts import is_range


def scattered(channels=16, outputs=12, **options):
    order = np.random.default_rng(3).permutation(channels).tolist()
    return SPConv2D(channels, outputs, channels=order, **options)


class Chain(nn.Layer):
    """A convolution, whatever is between, and an SPConv2D with scattered channels."""

    def __init__(self, *between, producer=None, **options):
        super().__init__()
        self.producer = producer or nn.Conv2D(3, 16, 1, data_format=options.get("data_format", "NCHW"))
        self.between = nn.Sequential(*between)
        self.spconv = scattered(**options)

    def forward(self, x):
        return self.spconv(self.between(self.producer(x)))


class UsedTwice(Chain):
    def forward(self, x):
        x = self.producer(x)
        return self.spconv(self.between(x)).mean() + x


class CalledTwice(Chain):
    def forward(self, x):
        return self.spconv(self.producer(x)) + self.spconv(self.producer(2 * x))


class ProducerCalledTwice(Chain):
    def forward(self, x):
        return self.spconv(self.producer(x)) + self.producer(2 * x)[:, :12]


class ReadsWeight(Chain):
    def forward(self, x):
        return super().forward(x) * self.producer.weight[0].mean()


class ReadsNorm(Chain):
    def forward(self, x):
        return super().forward(x) * self.between[0].weight[0]


class ReturnsBoth(Chain):
    def forward(self, x):
        x = self.producer(x)
        return x, self.spconv(x)


class TiedProducer(Chain):
    def __init__(self):
        super().__init__()
        self.twin = nn.Conv2D(3, 16, 1)
        self.twin.weight = self.producer.weight

    def forward(self, x):
        return self.twin(x)[:, :12] + super().forward(x)


class TwoReaders(Chain):
    def __init__(self):
        super().__init__()
        self.other = scattered()

    def forward(self, x):
        x = self.between(self.producer(x))
        return self.spconv(x) + self.other(x)


class SharedNorm(Chain):
    def __init__(self):
        super().__init__(nn.BatchNorm2D(16))

    def forward(self, x):
        return super().forward(x) + self.between(x.mean(1, keepdim=True).tile([1, 16, 1, 1]))[:, :12]


def ordered(model, x):
    """The network afterwards, after a check that its outputs are the same."""
    model = nets.trained(model)
    after = copy.deepcopy(model)
    with paddle.no_grad():
        put_side_by_side(after, x)
        expected, actual = (paddle.concat([y.flatten() for y in nest(net(x))]) for net in (model, after))
    scale = float(expected.abs().max())
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=0, atol=2e-5 * scale)
    return after


def nest(value):
    return value if isinstance(value, tuple) else (value,)


def is_side_by_side(spconv):
    representative = spconv.channels.numpy()[: spconv.representative].reshape(spconv.groups, -1)
    return is_range(np.sort(representative).ravel())


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("ratio", [0.125, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_alone_takes_the_order(groups, ratio, fusion, stride):
    if ratio * 16 < groups:
        pytest.skip("fewer representative channels than groups")
    model = Chain(
        nn.BatchNorm2D(16), nn.ReLU(), nn.MaxPool2D(2, 1),
        groups=groups, ratio=ratio, fusion=fusion, stride=stride,
    )  # fmt: skip
    after = ordered(model, paddle.randn([3, 3, 8, 6]))
    assert is_side_by_side(after.spconv)
    fused = fuse(after, input_shape=(3, 3, 8, 6))
    assert not any(getattr(layer, "pick", None) for layer in fused.sublayers())


@pytest.mark.parametrize(
    "between",
    [
        [],
        [nn.BatchNorm2D(16), nn.BatchNorm2D(16)],
        [nn.LeakyReLU(), nn.AvgPool2D(3, 2, padding=1)],
        [nn.Hardswish(), nn.GELU(), nn.Silu(), nn.ReLU6()],
    ],
)
def test_what_may_lie_between(between):
    assert is_side_by_side(ordered(Chain(*between), paddle.randn([1, 3, 9, 9])).spconv)


def test_channels_last():
    model = Chain(nn.BatchNorm2D(16, data_format="NHWC"), data_format="NHWC")
    assert is_side_by_side(ordered(model, paddle.randn([2, 7, 5, 3])).spconv)


def test_an_spconv_of_one_group_takes_the_order_too():
    model = Chain(nn.ReLU(), producer=scattered(8, 16, groups=1, fusion="gap"))
    assert is_side_by_side(ordered(model, paddle.randn([2, 8, 7, 7])).spconv)


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        (Chain(producer=nn.Conv2D(4, 16, 1, groups=2)), 4),
        (Chain(producer=scattered(8, 16, groups=2)), 8),
        (Chain(nn.PReLU(16)), 3),
        (Chain(nn.Softmax(1)), 3),
        (Chain(nn.GroupNorm(4, 16)), 3),
        (UsedTwice(), 3),
        (CalledTwice(), 3),
        (ProducerCalledTwice(), 3),
        (ReadsWeight(), 3),
        (ReadsNorm(nn.BatchNorm2D(16)), 3),
        (ReturnsBoth(), 3),
        (TiedProducer(), 3),
        (TwoReaders(), 3),
        (SharedNorm(), 3),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Layer) else None,
)  # fmt: skip
def test_where_the_order_matters_to_others_it_stays(model, channels):
    outputs = 16 if isinstance(model, UsedTwice) else 12
    if outputs == 16:
        model.spconv = scattered(16, 16)
    after = ordered(model, paddle.randn([2, channels, 6, 6]))
    assert np.array_equal(after.spconv.channels.numpy(), scattered().channels.numpy())


@pytest.mark.parametrize("hooked", ["producer", "between.0", "spconv"])
def test_a_layer_with_a_hook_stays(hooked):
    model = Chain(nn.BatchNorm2D(16))
    layer = dict(model.named_sublayers())[hooked]
    gain = paddle.randn([16 if hooked != "spconv" else 12, 1, 1])
    layer.register_forward_post_hook(lambda layer, inputs, output: output * gain)
    after = ordered(model, paddle.randn([1, 3, 6, 6]))
    assert np.array_equal(after.spconv.channels.numpy(), scattered().channels.numpy())


def test_fusing_leaves_the_network_as_it_was():
    model = nets.trained(Chain(nn.BatchNorm2D(16), nn.ReLU(), fusion="sum"))
    before = {key: value.numpy() for key, value in model.state_dict().items()}
    assert "select" not in fuse(model, input_shape=(1, 3, 8, 8)).spconv.form
    choose_forms(model, (1, 3, 8, 8), measure_them=False)
    assert all(np.array_equal(before[key], value.numpy()) for key, value in model.state_dict().items())


def test_nothing_is_run_where_nothing_is_scattered():
    class Fails(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv, self.spconv = nn.Conv2D(3, 16, 1), SPConv2D(16, 12)

        def forward(self, x):
            raise AssertionError("run")

    put_side_by_side(Fails(), paddle.zeros([1, 3, 8, 8]))
