"""A fused network is held to the original on more than one input."""

import numpy as np
import paddle
import pytest
from paddle import nn

import spconvify
from spconvify import ArgumentError, ConversionError


class TwoWays(nn.Layer):
    """One BatchNorm or the other behind the convolution, as `choose` says."""

    def __init__(self, choose):
        super().__init__()
        self.conv, self.choose = nn.Conv2D(3, 8, 3, padding=1), choose
        self.first, self.second = nn.BatchNorm2D(8), nn.BatchNorm2D(8)
        for factor, norm in ((1, self.first), (3, self.second)):
            norm._mean.set_value(np.linspace(-factor, factor, 8).astype("float32"))
        self.plain = nn.Sequential(nn.Conv2D(8, 8, 3, padding=1), nn.BatchNorm2D(8))
        self.eval()

    def forward(self, x):
        y = self.conv(x)
        return self.plain(self.first(y) if self.choose(x) else self.second(y))


class OrNone(TwoWays):
    def forward(self, x):
        y = self.conv(x)
        return self.first(y) if self.choose(x) else y


def others():
    return paddle.randn([2, 3, 16, 16]), paddle.randn([1, 3, 16, 16]) + 1, paddle.randn([1, 3, 128, 128])


CHOICES = {
    "by values": lambda x: x.mean() < 0.3,
    "by size": lambda x: x.shape[2] <= 64,
    "by a number": lambda x: float(x.max()) < 4.5,
}


@pytest.mark.parametrize("kind", [TwoWays, OrNone])
@pytest.mark.parametrize("choose", CHOICES.values(), ids=CHOICES)
def test_a_norm_is_folded_only_where_it_is_behind_in_every_run(kind, choose):
    paddle.seed(3)
    model = kind(choose)
    fused = spconvify.fuse(model)
    for x in others():
        np.testing.assert_allclose(fused(x).numpy(), model(x).numpy(), rtol=1e-4, atol=1e-4)
    if kind is TwoWays:
        assert not any(isinstance(layer, nn.BatchNorm2D) for layer in fused.plain), "that one is"


class Scattered(TwoWays):
    """What an SPConv takes comes through one BatchNorm or the other."""


@pytest.mark.parametrize("choose", CHOICES.values(), ids=CHOICES)
def test_channels_are_put_in_order_only_where_every_run_agrees(choose):
    paddle.seed(4)
    model = Scattered(choose)
    x = np.random.default_rng(0).standard_normal((32, 3, 16, 16)).astype("float32")
    slim = spconvify.convert(
        model, fusion="sum", include="plain.0", init="lstsq", calibration=[x], progress=False
    )
    slim.eval()
    fused = spconvify.fuse(slim)
    for x in others():
        np.testing.assert_allclose(fused(x).numpy(), slim(x).numpy(), rtol=1e-3, atol=1e-3)


class Behind(nn.Layer):
    """A convolution on what `change` makes of the image."""

    def __init__(self, change):
        super().__init__()
        self.conv, self.norm, self.change = nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm2D(8), change
        self.eval()

    def forward(self, x):
        return self.norm(self.conv(self.change(x)))


@pytest.mark.parametrize("change", [paddle.log, paddle.sqrt, lambda x: x**0.3])
def test_networks_for_positive_images_are_compared_on_such(change, monkeypatch):
    model = Behind(change)
    x = paddle.rand([2, 3, 16, 16]) + 0.1
    np.testing.assert_allclose(spconvify.fuse(model)(x).numpy(), model(x).numpy(), rtol=1e-4, atol=1e-4)
    monkeypatch.setattr("spconvify.deploy.fuse.fold_into_convolution", lambda conv, norm: None)
    model.norm._mean.set_value(paddle.ones([8]))
    with pytest.raises(ConversionError, match="off by"):
        spconvify.fuse(model)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_finite_to_compare(value):
    with pytest.raises(ArgumentError, match=r"isn't finite anywhere on the example.*example=IMAGES"):
        spconvify.fuse(Behind(lambda x: x * value), example=np.ones((1, 3, 16, 16), "float32"))
    with pytest.raises(ArgumentError, match="isn't finite anywhere on random numbers"):
        spconvify.fuse(Behind(lambda x: x * np.nan))


class ReturnsNothing(Behind):
    def forward(self, x):
        super().forward(x)
        return "done"


def test_a_network_that_returns_no_tensor_is_refused():
    with pytest.raises(ConversionError, match="no tensor is found in what the network returns"):
        spconvify.fuse(ReturnsNothing(lambda x: x))


class Returns(nn.Layer):
    """The same tensor twice."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 8, 3, padding=1)
        self.eval()

    def forward(self, x):
        y = self.conv(x)
        return y, y.mean(), y


def test_an_output_that_is_returned_twice_is_exported(tmp_path):
    folder = spconvify.export(Returns(), tmp_path / "out", (1, 3, 16, 16), tune=False)
    assert (folder / "manifest.json").exists()
