"""fuse: same outputs on networks that are wired in awkward ways, and clear refusals."""

import copy

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, ConversionError, convert, fuse
from spconvify.deploy.equality import TOLERANCE, in_float64, largest_error
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.parts import FusedSPConv2D


class NormNet(nn.Layer):
    """Every relation that a convolution and a BatchNorm can have."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_bn = nets.conv(3, 8), nn.BatchNorm2D(8)
        self.conv1, self.bn1 = nets.conv(8, 8, bias_attr=False), nn.BatchNorm2D(8)
        self.branch, self.branch_bn = nets.conv(), nn.BatchNorm2D(8)
        self.shared, self.shared_bn = nets.conv(), nn.BatchNorm2D(8)
        self.last = nn.Sequential(nn.BatchNorm2D(8), nets.conv())

    def forward(self, x):
        x = nn.functional.relu(self.stem_bn(self.stem(x)))
        x = nn.functional.relu(self.bn1(self.conv1(x)) + x)
        y = self.branch(x)
        x = self.branch_bn(y) + y  # the convolution's output is used twice
        x = self.shared_bn(self.shared(self.shared_bn(self.shared(x))))  # both called twice, together
        return self.last(x)


class OneNormForTwo(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.bn = nets.conv(), nets.conv(), nn.BatchNorm2D(8)

    def forward(self, x):
        return self.bn(self.second(self.bn(self.first(x))))


class NormInPlainList(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.after = nets.conv(), nn.BatchNorm2D(8), nets.conv()
        self.norms = [self.bn]

    def forward(self, x):
        return self.after(self.norms[0](self.conv(x)))


class ReadsNorm(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nets.conv(), nn.BatchNorm2D(8)

    def forward(self, x):
        return self.bn(self.conv(x)) * self.bn.weight.mean()


class OlderNorms(nn.Layer):
    """PaddleClas's `nn.BatchNorm`: alone, with an activation of its own, with live statistics."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nets.conv(), nn.BatchNorm(8)
        self.conv_act, self.bn_act = nets.conv(), nn.BatchNorm(8, act="relu")
        self.conv_live, self.bn_live = nets.conv(), nn.BatchNorm(8, trainable_statistics=True)

    def forward(self, x):
        return self.bn_live(self.conv_live(self.bn_act(self.conv_act(self.bn(self.conv(x))))))


class OddActivation(nn.Layer):
    """An activation whose settings nobody can tell."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nets.conv(), nn.BatchNorm(8, act="square")

    def forward(self, x):
        return self.bn(self.conv(x))


class HookedNorm(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nets.conv(), nn.BatchNorm2D(8)
        self.bn.register_forward_post_hook(lambda layer, inputs, output: output * 3)

    def forward(self, x):
        return self.bn(self.conv(x))


class TiedConvs(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.bn, self.second = nets.conv(), nn.BatchNorm2D(8), nets.conv()
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.second(self.bn(self.first(x)))


def norms_in(model):
    return [n for n, layer in model.named_sublayers() if hasattr(layer, "_variance")]


def assert_equal_outputs(model, fused, shape):
    x = paddle.to_tensor(np.random.default_rng(1).standard_normal(shape, dtype="float32"))
    with paddle.no_grad():
        expected, actual = model(x), fused(x)
    scale = float(expected.abs().max())
    np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=0, atol=3e-5 * scale)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
def test_folds_what_can_be_folded(fusion):
    model = nets.trained(convert(nets.trained(NormNet()), fusion=fusion))
    before = copy.deepcopy(model)
    fused = fuse(model)
    assert norms_in(fused) == ["branch_bn", "last.0"]
    assert not any(isinstance(layer, SPConv2D) for layer in fused.sublayers())
    for batch in (1, 3):
        assert_equal_outputs(model, fused, (batch, 3, 11, 11))
    for (key, old), new in zip(before.state_dict().items(), model.state_dict().values()):
        assert np.array_equal(old.numpy(), new.numpy()), key


@pytest.mark.parametrize(
    ("make", "norms"),
    [(OneNormForTwo, ["bn"]), (NormInPlainList, []), (ReadsNorm, ["bn"]), (HookedNorm, ["bn"]),
     (TiedConvs, ["bn"]), (OlderNorms, ["bn_live"]), (OddActivation, ["bn"])],
)  # fmt: skip
def test_folds_what_it_can_and_leaves_the_rest(make, norms):
    model = nets.trained(make())
    fused = fuse(model, input_shape=(1, 8, 8, 8))
    assert norms_in(fused) == norms
    assert_equal_outputs(model, fused, (2, 8, 8, 8))


@pytest.mark.parametrize("act", ["relu", "relu6", "sigmoid", "tanh", "swish", "silu", "hard_swish"])
def test_the_activation_of_an_older_norm_stays(act):
    model = nets.trained(nn.Sequential(nets.conv(), nn.BatchNorm(8, act=act), nets.conv()))
    fused = fuse(model, input_shape=(1, 8, 8, 8))
    assert norms_in(fused) == []
    assert_equal_outputs(model, fused, (2, 8, 8, 8))


def test_the_original_is_fused_by_the_same_rules():
    model = nets.trained(NormNet())
    fused = fuse(model)
    assert norms_in(fused) == ["branch_bn", "last.0"]
    assert_equal_outputs(model, fused, (2, 3, 9, 9))


def test_a_root_that_is_an_spconv():
    model = nets.trained(SPConv2D(8, 8, fusion="gap"))
    fused = fuse(model)
    assert isinstance(fused, FusedSPConv2D)
    assert_equal_outputs(model, fused, (2, 8, 5, 5))


def test_inplace_and_twice():
    model = nets.trained(convert(nets.PlainNet()))
    copied = copy.deepcopy(model)
    assert fuse(model, inplace=True) is model
    assert not norms_in(model)
    assert_equal_outputs(copied, model, (2, 3, 16, 16))
    assert_equal_outputs(model, fuse(model), (2, 3, 16, 16))


def test_a_shared_spconv_is_fused_everywhere():
    model = nets.trained(convert(nets.SharedConvNet(), fusion="gap"))
    fused = fuse(model)
    assert fused.first is fused.second is fused.block[0]
    assert_equal_outputs(model, fused, (1, 8, 8, 8))


def test_refuses_a_training_network():
    model = nets.trained(convert(nets.PlainNet()))
    model.conv1.train()
    with pytest.raises(ArgumentError, match=r"its layer 'conv1' is in training mode; call network.eval"):
        fuse(model)
    model.train()
    with pytest.raises(ArgumentError, match="the network is in training mode"):
        fuse(model)


def test_forms_by_name():
    model = nets.trained(convert(nets.PlainNet(), fusion="sum"))
    fused = fuse(model, forms={"conv2": "dense", "conv1": "pointwise-last+split"})
    assert (fused.conv1.form, fused.conv2.form) == ("pointwise-last+split", "dense")
    assert_equal_outputs(model, fused, (3, 3, 17, 15))
    with pytest.raises(
        ArgumentError, match="layer 'conv1' can't have the form 'dense'; use one of: point"
    ):
        fuse(model, forms={"conv1": "dense"})
    with pytest.raises(
        ArgumentError, match="form 'fast' is unknown; use pointwise-last, three-parts, dense"
    ):
        fuse(model, forms={"conv1": "fast"})
    with pytest.raises(ArgumentError, match="names 'stem', which isn't an SPConv2D"):
        fuse(model, forms={"stem": "dense"})


def test_an_input_that_does_not_fit():
    model = nets.trained(convert(nets.PlainNet()))
    with pytest.raises(ArgumentError, match="doesn't run on an input of 1x5x16x16"):
        fuse(model, input_shape=(1, 5, 16, 16))


def test_a_fused_network_that_differs_is_never_returned(monkeypatch):
    model = nets.trained(convert(nets.PlainNet(), fusion="sum"))
    before = {key: value.numpy() for key, value in model.state_dict().items()}
    monkeypatch.setattr("spconvify.deploy.fuse.fold_into_convolution", lambda conv, norm: None)
    with pytest.raises(ConversionError, match="output is off by"):
        fuse(model, inplace=True)
    assert all(np.array_equal(before[key], value.numpy()) for key, value in model.state_dict().items())


class Chaotic(nets.PlainNet):
    """The last bit of a float32 decides what comes out."""

    def forward(self, x):
        return paddle.sin(1e6 * super().forward(x))


class ChaoticInFloat32(Chaotic):
    def forward(self, x):
        if x.dtype == paddle.float64:
            raise TypeError("float32 only")
        return super().forward(x)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
def test_rounding_that_grows_is_told_from_a_wrong_layer(fusion, monkeypatch):
    model = nets.trained(convert(Chaotic(), fusion=fusion))
    model.conv2.channels = paddle.to_tensor([3, 1, 0, 2, 5, 4, 6, 7, 8, 9, 11, 10])
    fused, x = fuse(model), paddle.randn([2, 3, 16, 16])
    assert largest_error(model(x), fused(x)) > TOLERANCE
    monkeypatch.setattr("spconvify.deploy.fuse.fold_into_convolution", lambda conv, norm: None)
    with pytest.raises(ConversionError, match="output is off by"):
        fuse(model)


def test_a_network_that_does_not_run_in_float64_is_not_given_the_benefit_of_the_doubt():
    with pytest.raises(ConversionError, match="output is off by"):
        fuse(nets.trained(convert(ChaoticInFloat32(), fusion="sum")))


def test_in_float64_integers_stay_integers():
    model = convert(nets.PlainNet(), fusion="gap")
    model.conv1.channels = paddle.to_tensor([7, 6, 5, 4, 3, 2, 1, 0])
    double = in_float64(model)
    assert double.conv1.channels.dtype == paddle.int64
    assert {parameter.dtype for parameter in double.parameters()} == {paddle.float64}
    assert double.conv1.bn1._variance.dtype == paddle.float64
    assert {parameter.dtype for parameter in model.parameters()} == {paddle.float32}
    assert model.conv1.channels.dtype == paddle.int64


def test_the_largest_error_is_relative_to_each_outputs_scale():
    small, large = paddle.to_tensor([1e-3, 0.0]), paddle.to_tensor([1e3, 0.0])
    assert largest_error((small, large), (small * 1.5, large)) == pytest.approx(0.5)
    assert largest_error((small, large), (small, large * 1.5)) == pytest.approx(0.5)
    assert largest_error(small, small * float("nan")) == float("inf")
    assert largest_error(small * float("inf"), small) == float("inf")


class WeightReadTwice(nn.Layer):
    """A convolution whose weight another operator reads too."""

    def __init__(self, own):
        super().__init__()
        self.first, self.conv = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
        self.norm, self.behind, self.own = nn.BatchNorm2D(8), nn.BatchNorm2D(8), own

    def forward(self, x):
        x = self.norm(self.first(x))
        weight = self.conv.weight if self.own == "weight" else self.conv.bias.reshape([8, 1, 1, 1])
        return self.behind(self.conv(x)) + (weight * 0.5).sum()


@pytest.mark.parametrize("own", ["weight", "bias"])
def test_a_weight_that_is_read_elsewhere_keeps_its_batchnorm(own):
    model = WeightReadTwice(own)
    for _ in range(3):
        model(paddle.randn([4, 3, 9, 9]))
    model.eval()
    fused = fuse(model, input_shape=(2, 3, 9, 9))
    assert isinstance(fused.behind, nn.BatchNorm2D)
    assert not isinstance(fused.norm, nn.BatchNorm2D)
