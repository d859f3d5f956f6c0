"""Narrow: channels between two convolutions go, and nothing else is changed."""

import numpy as np
import paddle
import pytest
from calibration_networks import Residual, images, settled
from paddle import nn

import spconvify
from spconvify.errors import ArgumentError
from spconvify.network.inputs import Inputs
from spconvify.network.run import trying
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.surgery.apply import apply_plan
from spconvify.surgery.changes import Narrow, Refit, Replace
from spconvify.surgery.planning import Plan
from spconvify.surgery.widths import find_widths
from spconvify.zoo.cifar import CifarResNet


class Chain(nn.Layer):
    """Convolutions with biases, a stride, a pooling and an odd map between them."""

    def __init__(self, data_format="NCHW", norm=True):
        super().__init__()
        options = {"data_format": data_format}
        self.first = nn.Conv2D(3, 12, 3, padding=1, **options)
        self.norm = nn.BatchNorm2D(12, data_format=data_format) if norm else None
        self.pool = nn.MaxPool2D(2, ceil_mode=True, data_format=data_format)
        self.second = nn.Conv2D(12, 8, 3, stride=2, padding=1, **options)
        self.third = nn.Conv2D(8, 5, 1, **options)

    def forward(self, x):
        x = self.first(x)
        x = nn.functional.relu(x if self.norm is None else self.norm(x))
        return self.third(nn.functional.leaky_relu(self.second(self.pool(x))))


def widths_of(model, shape):
    with trying(model):
        return find_widths(model, Inputs.of(shape).sample(model))


def narrowed(model, shape, keep, **more):
    changes = [
        Narrow(w.producer, w.consumer, keep(w.channels), w.norms) for w in widths_of(model, shape)
    ]
    return apply_plan(model, Plan(changes), input_shape=shape, **more)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("norm", [True, False])
def test_without_channels_that_nobody_heeds_the_network_gives_the_same(data_format, norm):
    shape = (3, 3, 13, 11) if data_format == "NCHW" else (3, 13, 11, 3)
    model = Chain(data_format, norm)
    x = paddle.randn(shape)
    settled(model, x.numpy())
    for consumer, gone in ((model.second, slice(1, None, 3)), (model.third, slice(0, 2))):
        weight = consumer.weight.numpy()
        weight[:, gone] = 0
        consumer.weight.set_value(weight)
    kept = {12: tuple(c for c in range(12) if c % 3 != 1), 8: tuple(range(2, 8))}
    new = narrowed(model, shape, kept.get)
    assert new.first.weight.shape[0] == len(kept[12])
    assert new.third.weight.shape[1] == 6
    np.testing.assert_allclose(new(x).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-6)
    assert spconvify.cost(new, shape).macs < spconvify.cost(model, shape).macs
    assert model.first.weight.shape[0] == 12  # the original is as it was


def test_only_what_one_convolution_alone_takes_can_go():
    class Several(Chain):
        def forward(self, x):
            x = self.norm(self.first(x))  # by two: the pooling and the sum
            return self.third(self.second(self.pool(x))).mean() + x.mean()

    found = [(w.producer, w.consumer) for w in widths_of(Several(), (1, 3, 12, 12))]
    assert found == [("second", "third")]
    found = [(w.producer, w.consumer, w.norms) for w in widths_of(Residual(8), (1, 8, 8, 8))]
    assert found == [("conv1", "conv2", ("bn1",))]
    chain = [(w.producer, w.consumer, w.norms) for w in widths_of(Chain(), (1, 3, 12, 12))]
    assert chain == [("first", "second", ("norm",)), ("second", "third", ())]


@pytest.mark.parametrize("how", ["slice", "groups", "returned", "shared norm", "hook"])
def test_what_something_else_sees_stays(how):
    class Seen(Chain):
        def forward(self, x):
            x = self.norm(self.first(x))
            if how == "shared norm":
                x = self.norm(x)
            y = self.third(self.second(x[:, :12] if how == "slice" else x))
            return (y, x) if how == "returned" else y

    model = Seen()
    if how == "groups":
        model.second = nn.Conv2D(12, 8, 3, padding=1, groups=2)
    if how == "hook":
        model.first.register_forward_post_hook(lambda layer, given, output: output)
    assert "first" not in [w.producer for w in widths_of(model, (1, 3, 12, 12))]


def test_a_narrowing_is_data():
    plan = Plan([Narrow("a", "b", (0, 2), ("n",)), Refit("c")])
    assert Plan.from_json(plan.to_json()).changes == plan.changes
    assert str(plan) == "a: 2 channels to b\nc: dense, fitted anew"
    for keep in ((), (2, 1), (1, 1), (-1, 2), (True, 2)):
        with pytest.raises(ArgumentError, match="ascending"):
            Narrow("a", "b", keep)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([Narrow("first", "second", (0, 12))], "keeps its channel 12, and it has 12"),
        ([Narrow("first", "nowhere", (0,))], "'nowhere' isn't a convolution"),
        ([Narrow("first", "second", (0,)), Narrow("first", "third", (0,))], "'first' twice"),
        ([Narrow("first", "second", (0, 1), ("bn",))], "BatchNorm 'bn' isn't a layer"),
        ([Refit("first"), Refit("first")], "'first' twice"),
    ],
)
def test_a_plan_that_cannot_be(changes, said):
    with pytest.raises(ArgumentError, match=said):
        apply_plan(Chain(), Plan(changes), input_shape=(1, 3, 12, 12))


def test_a_forgotten_batchnorm_is_found_out_and_undone():
    model = Chain()
    weight = model.first.weight
    with pytest.raises(spconvify.ConversionError, match="doesn't run"):
        apply_plan(
            model, Plan([Narrow("first", "second", (0, 1))]), inplace=True, input_shape=(1, 3, 12, 12)
        )
    assert model.first.weight is weight
    assert model.second.weight.shape == [8, 12, 3, 3]


@pytest.mark.parametrize("ratio", [None, 0.5])
def test_a_checkpoint_of_a_narrowed_network_loads_by_itself(tmp_path, ratio):
    paddle.seed(1)
    model = CifarResNet(20)
    model.eval()
    changes = [
        Narrow(w.producer, w.consumer, tuple(range(index % 2, w.channels, 2 + index % 3)), w.norms)
        for index, w in enumerate(widths_of(model, (1, 3, 32, 32)))
    ]
    if ratio:
        sites = ("layer1.0.conv2", "layer2.1.conv1")
        changes += [Replace(s, SPConvSettings(ratio, 1, "sum")) for s in sites]
    new = apply_plan(model, Plan(changes), input_shape=(1, 3, 32, 32))
    path = spconvify.save(new, tmp_path / "narrow.pdparams")
    x = paddle.randn([2, 3, 32, 32])
    for arch in (None, "resnet20", CifarResNet(20)):
        loaded = spconvify.load(path, arch)
        loaded.eval()
        assert np.array_equal(loaded(x).numpy(), new(x).numpy())


def test_another_network_is_not_taken_for_a_narrowed_one(tmp_path):
    class Half(CifarResNet):
        pass

    model = Half(20)
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"][:8]  # and nobody takes fewer
    path = tmp_path / "cut.pdparams"
    paddle.save({key: paddle.to_tensor(value) for key, value in state.items()}, str(path))
    with pytest.raises(spconvify.CheckpointError, match=r"layer1\.0\.conv1\.weight"):
        spconvify.load(path, "resnet20")


def test_what_is_narrowed_is_fitted_and_so_is_what_comes_after():
    x = images(48, 8, 12)
    model = nn.Sequential(Residual(8), Residual(8))
    settled(model, x)
    width = Narrow("0.conv1", "0.conv2", (0, 2, 3, 5, 6, 7), ("0.bn1",))
    errors, tensor = {}, paddle.to_tensor(x)
    for name, plan in {
        "copied": None,
        "fitted": Plan([width]),
        "refitted": Plan([width, Refit("1.conv1"), Refit("1.conv2")]),
    }.items():
        if plan is None:
            new = apply_plan(model, Plan([width]), input_shape=x.shape)
        else:
            new = spconvify.convert(model, plan=plan, init="lstsq", calibration=[x])
        errors[name] = float(((new(tensor) - model(tensor)) ** 2).mean())
    assert errors["fitted"] < 0.7 * errors["copied"]
    assert errors["refitted"] < 0.9 * errors["fitted"]


def residual_block():
    network = CifarResNet(8)
    return network, Narrow("layer1.0.conv1", "layer1.0.conv2", (0, 3, 5, 6), ("layer1.0.bn1",))


def test_what_was_replaced_is_not_narrowed_afterwards():
    network, narrow = residual_block()
    replace = Replace("layer1.0.conv2", SPConvSettings(0.5, 1))
    spconvify.convert(network, plan=Plan([narrow, replace]), input_shape=(1, 3, 16, 16))
    with pytest.raises(ArgumentError, match=r"'layer1.0.conv2' isn't eligible: it isn't a convolution"):
        spconvify.convert(network, plan=Plan([replace, narrow]), input_shape=(1, 3, 16, 16))


@pytest.mark.parametrize("kept", [(2,), (0, 3), (0, 3, 5)])
def test_what_is_too_narrow_to_split_is_not_replaced(kept):
    network, narrow = residual_block()
    narrow = Narrow(narrow.producer, narrow.consumer, kept, narrow.norms)
    plan = Plan([narrow, Replace("layer1.0.conv2", SPConvSettings(0.5, 1))])
    with pytest.raises(ArgumentError, match=rf"eligible: stem: {len(kept)} input channels are too few"):
        spconvify.convert(network, plan=plan, input_shape=(1, 3, 16, 16))
