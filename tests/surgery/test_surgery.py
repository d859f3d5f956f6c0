"""Conversion: what is replaced, what must survive, what is refused."""

import copy

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import (
    ArgumentError,
    ConversionError,
    NoEffectWarning,
    Plan,
    SPConv2D,
    convert,
    cost,
    find_sites,
    fuse,
)
from spconvify.operators.spconv.settings import SPConvSettings


def state(model):
    return {key: value.numpy().copy() for key, value in model.state_dict().items()}


def assert_same_state(model, before):
    after = state(model)
    assert list(after) == list(before)
    for key in before:
        np.testing.assert_array_equal(after[key], before[key], err_msg=key)


def test_copy_leaves_the_original_alone():
    model = nets.PlainNet()
    before = state(model)
    converted = convert(model)
    assert isinstance(converted.conv1, SPConv2D)
    assert isinstance(converted.conv2, SPConv2D)
    assert type(model.conv1) is nn.Conv2D
    assert_same_state(model, before)
    assert converted(paddle.randn([3, 3, 9, 11])).shape == [3, 5]


def test_inplace_returns_the_same_object():
    model = nets.PlainNet()
    assert convert(model, inplace=True) is model
    assert isinstance(model.conv1, SPConv2D)


def test_shared_layer_stays_shared():
    model = convert(nets.SharedConvNet())
    assert isinstance(model.first, SPConv2D)
    assert model.first is model.second
    assert model.first is model.block[0]


def test_root_convolution():
    conv = nets.conv(8, 4)
    converted = convert(conv)
    assert isinstance(converted, SPConv2D)
    assert isinstance(convert(conv, inplace=True), SPConv2D)


def test_dotted_names_and_none():
    model = convert(nets.dotted_names())
    assert isinstance(model._sub_layers["a.b"][0], SPConv2D)
    assert isinstance(convert(nets.NoneSubLayer()).conv, SPConv2D)


@pytest.mark.parametrize("training", [True, False])
def test_keeps_training_flag(training):
    model = nets.PlainNet()
    model.train() if training else model.eval()
    model.conv2.eval()
    converted = convert(model, fusion="gap")
    assert converted.conv1.bn1.training == converted.conv1.training == training
    assert not converted.conv2.gwc.training
    assert converted.bn.training == training


def test_keeps_dtype():
    converted = convert(nets.PlainNet().to(dtype="float64"))
    dtypes = {str(p.dtype) for p in converted.parameters()}
    assert dtypes == {"paddle.float64"}
    assert paddle.get_default_dtype() == "float32"
    assert converted(paddle.randn([1, 3, 8, 8]).astype("float64")).dtype == paddle.float64


def test_keeps_param_attr_settings():
    decay = paddle.regularizer.L2Decay(1e-3)
    attr = paddle.ParamAttr("named", learning_rate=0.1, regularizer=decay, need_clip=False)
    model = nn.Sequential(nets.conv(weight_attr=attr))
    regularizer = model[0].weight.regularizer
    converted = convert(model, fusion="sum", inplace=True)
    for parameter in (converted[0].gwc.weight, converted[0].pwc.weight, converted[0].conv1x1.weight):
        assert parameter.optimize_attr == {"learning_rate": 0.1}
        assert parameter.regularizer is regularizer
        assert parameter.need_clip is False
        assert parameter.trainable


def test_keeps_frozen_parameters_frozen():
    model = nets.PlainNet()
    model.conv1.weight.trainable = False
    model.conv2.bias.trainable = False
    converted = convert(model, fusion="sum")
    assert all(p.stop_gradient for p in converted.conv1.parameters())
    assert converted.conv2.conv1x1.bias.stop_gradient
    assert not converted.conv2.gwc.weight.stop_gradient


def test_parameter_names_are_unique():
    with paddle.utils.unique_name.guard():
        model = nets.PlainNet()
    names = [p.name for p in convert(convert(model, include="conv1"), inplace=True).parameters()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("fusion", ["gap", "sum"])
def test_trains(fusion):
    model = convert(nets.PlainNet(), fusion=fusion)
    optimizer = paddle.optimizer.SGD(0.1, parameters=model.parameters())
    before = state(model)
    model(paddle.randn([4, 3, 9, 9])).square().mean().backward()
    optimizer.step()
    unchanged = [key for key, value in state(model).items() if np.array_equal(value, before[key])]
    assert unchanged == []


def test_second_conversion_changes_nothing():
    once = convert(nets.PlainNet())
    before = state(once)
    with pytest.warns(NoEffectWarning, match="none of the 4 convolutions is eligible"):
        twice = convert(once)
    assert_same_state(twice, before)


def test_nothing_to_convert_warns():
    with pytest.warns(NoEffectWarning, match="the network has no Conv2D"):
        convert(nn.Linear(2, 2))


@pytest.mark.parametrize("padding", [0, 1, "SAME", [1, 1, 1, 1], [[0, 0], [0, 0], [1, 1], [1, 1]]])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_constant_maps_are_exact_inside(padding, stride, data_format):
    """Where the input doesn't vary, a 1x1 with the sum of the taps is the 3x3."""
    if data_format == "NHWC" and isinstance(padding, list) and isinstance(padding[0], list):
        padding = [padding[0], padding[2], padding[3], padding[1]]
    conv = nets.trained(nets.conv(8, 4, padding=padding, stride=stride, data_format=data_format))
    converted = convert(conv, fusion="sum")
    x = paddle.randn([3, 8, 1, 1]).expand([3, 8, 11, 12])
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    if data_format == "NHWC":
        x, inside = x.transpose([0, 2, 3, 1]), (slice(None), *inside[2:], slice(None))
    np.testing.assert_allclose(
        converted(x)[inside].numpy(), conv(x)[inside].numpy(), rtol=1e-4, atol=2e-5
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_keeps_padding_mode(mode):
    conv = nets.trained(nets.conv(8, 4, padding_mode=mode))
    converted = convert(conv, fusion="sum")
    x = paddle.randn([1, 8, 1, 1]).expand([1, 8, 6, 7])  # constant: exact at the border too
    np.testing.assert_allclose(converted(x).numpy(), conv(x).numpy(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nets.ParentReadsWeight, "layer 'conv': the network reads its 'weight'"),
        (nets.HiddenAlias, "layer 'conv': the network still runs the old convolution"),
        (nets.HalfHiddenAlias, "layer 'conv': the network still runs the old convolution"),
    ],
)
def test_refuses_and_rolls_back(model, message, inplace):
    network = model()
    layers, before = dict(network._sub_layers), state(network)
    with pytest.raises(ConversionError, match=message) as error:
        convert(network, inplace=inplace)
    assert str(error.value).endswith("exclude it with exclude='conv'")
    assert {k: id(v) for k, v in network._sub_layers.items()} == {k: id(v) for k, v in layers.items()}
    assert_same_state(network, before)


def test_refused_layer_can_be_excluded():
    assert isinstance(convert(nets.ParentReadsWeight(), exclude="conv").other, SPConv2D)


def test_statically_held_layers_are_skipped_not_broken():
    model = nn.Sequential(
        nets.conv(), nets.BoundMethodAlias(), nets.TiedWeightNet(), nets.HookedConvNet()
    )
    converted = convert(model)
    assert [site.name for site in find_sites(converted) if isinstance(site.layer, SPConv2D)] == ["0"]


def test_weight_norm_net():
    model = nets.WeightNormNet()
    converted = convert(model)
    assert isinstance(converted.conv, SPConv2D)
    assert type(converted.normed) is nn.Conv2D
    x = paddle.randn([1, 8, 6, 6])
    np.testing.assert_array_equal(converted.normed(x).numpy(), model.normed(x).numpy())


@pytest.mark.parametrize("inplace", [True, False])
def test_named_param_attrs(inplace):
    converted = convert(nets.NamedParamAttrs(f"named_{inplace}"), inplace=inplace)
    assert isinstance(converted.conv, SPConv2D)
    assert converted.conv.gwc.weight.optimize_attr["learning_rate"] == 0.1
    assert converted(paddle.randn([2, 8, 5, 5])).shape == [2, 8, 5, 5]


def test_theseus_return_patterns():
    """What hooks return comes from the network that runs; the convolution with a hook stays."""
    with pytest.raises(ConversionError, match=r"convert it in place \(inplace=True\)"):
        convert(nets.TheseusReturnPatterns())  # the copy's hooks would write into the original
    model = nets.TheseusReturnPatterns()
    converted = convert(model, inplace=True)
    assert converted is model
    assert isinstance(converted.stage[0], SPConv2D)
    assert type(converted.kept) is nn.Conv2D
    x = paddle.randn([1, 8, 6, 6])
    results = converted(x)
    np.testing.assert_array_equal(results["stage"].numpy(), converted.stage(x).numpy())
    assert results["kept"].shape == [1, 8, 6, 6]


def test_stale_to_static():
    """A program traced before the conversion would keep the old convolutions."""
    model = nets.PlainNet()
    model.conv1 = paddle.jit.to_static(nn.Sequential(nets.conv(8, 12, stride=2)), full_graph=True)
    with pytest.raises(ArgumentError, match="convert first, then call to_static"):
        convert(model, inplace=True)
    assert type(model.conv2) is nn.Conv2D


def test_plan_that_does_not_belong():
    with pytest.raises(ArgumentError, match=r"the plan's site 'nope' isn't a convolution"):
        convert(nets.PlainNet(), plan=Plan({"nope": SPConvSettings()}))
    with pytest.raises(ArgumentError, match=r"the plan's site 'stem' isn't eligible: stem"):
        convert(nets.PlainNet(), plan=Plan({"stem": SPConvSettings()}))


def test_wrong_calls():
    with pytest.raises(ArgumentError, match="init 'magic' is unknown; use one of: copy, lstsq, none"):
        convert(nets.PlainNet(), init="magic")
    with pytest.raises(ArgumentError, match="doesn't run on an input of 1x5x8x8"):
        convert(nets.PlainNet(), input_shape=(1, 5, 8, 8))


def test_verification_leaves_modes_and_statistics_alone():
    model = nets.PlainNet()
    mean = model.bn._mean.numpy().copy()
    converted = convert(model)
    assert converted.bn.training
    np.testing.assert_array_equal(converted.bn._mean.numpy(), mean)


def test_deepcopy_of_a_converted_network():
    model = convert(nets.trained(nets.PlainNet()))
    x = paddle.randn([1, 3, 8, 8])
    np.testing.assert_array_equal(copy.deepcopy(model)(x).numpy(), model(x).numpy())


class InContainers(nn.Layer):
    """Registered convolutions that a forward pass takes from plain containers, as PaddleDetection's."""

    def __init__(self):
        super().__init__()
        self.convs, self.by_name, self.deep = [], {}, {"a": [[]]}
        for i in range(3):
            layer = self.add_sublayer(f"conv{i}", nets.conv(bias_attr=False))
            (self.convs.append, lambda x: self.by_name.update(b=x), self.deep["a"][0].append)[i](layer)
        vars(self)["direct"] = self.conv0
        self.bn = nn.BatchNorm2D(8)
        self.norms = [self.bn]

    def forward(self, x):
        x = self.deep["a"][0][0](self.by_name["b"](self.convs[0](x)))
        return self.norms[0](x) + self.direct(x)


@pytest.mark.parametrize("inplace", [True, False])
def test_entries_of_plain_containers_are_replaced_too(inplace):
    network = nets.trained(InContainers())
    converted = convert(network, fusion="sum", inplace=inplace)
    replaced = [converted.conv0, converted.conv1, converted.conv2]
    assert all(isinstance(layer, SPConv2D) for layer in replaced)
    held = [converted.convs[0], converted.by_name["b"], converted.deep["a"][0][0]]
    assert [id(layer) for layer in held] == [id(layer) for layer in replaced]
    assert converted.direct is converted.conv0
    assert isinstance(network.convs[0], SPConv2D) == inplace
    fused = fuse(converted, input_shape=(1, 8, 6, 6))
    assert not any(isinstance(layer, SPConv2D) for layer in fused.sublayers())
    assert [type(layer).__name__ for layer in fused.convs] == [type(fused.conv0).__name__]


def test_entries_of_plain_containers_come_back_when_a_conversion_fails():
    network = nets.trained(InContainers())
    inner = network.conv1
    network.hidden = lambda x: inner(x)
    type(network).forward, forward = (
        (lambda self, x: self.hidden(forward(self, x))),
        network.forward.__func__,
    )
    try:
        with pytest.raises(ConversionError, match="layer 'conv1': the network still runs the old"):
            convert(network, inplace=True)
    finally:
        type(network).forward = forward
    assert network.convs == [network.conv0]
    assert type(network.convs[0]) is type(network.by_name["b"]) is nn.Conv2D
    assert network.deep["a"][0][0] is network.conv2


class InLayersOfNoOne(nn.Layer):
    """Registered layers that a forward pass takes from a LayerList and a Sequential that are not."""

    def __init__(self):
        super().__init__()
        self.first, self.bn = nets.conv(bias_attr=False), nn.BatchNorm2D(8)
        self.second = nets.conv(bias_attr=False)
        self.stages = {"one": nn.LayerList([self.first, self.bn])}
        self.others = [nn.Sequential(nn.Sequential(self.second), nn.ReLU())]

    def forward(self, x):
        for layer in self.stages["one"]:
            x = layer(x)
        return self.others[0](x)


@pytest.mark.parametrize("inplace", [True, False])
def test_entries_of_layers_that_are_registered_nowhere_are_replaced_too(inplace):
    network = nets.trained(InLayersOfNoOne())
    converted = convert(network, fusion="sum", inplace=inplace)
    held = [converted.stages["one"][0], converted.others[0][0][0]]
    assert [id(layer) for layer in held] == [id(converted.first), id(converted.second)]
    assert all(isinstance(layer, SPConv2D) for layer in held)
    assert isinstance(network.stages["one"][0], SPConv2D) == inplace
    x = paddle.randn([2, 8, 6, 6])
    expected = converted(x).numpy()
    fused = fuse(converted, input_shape=(1, 8, 6, 6))
    assert [layer is converted.first for layer in converted.stages["one"]] == [True, False]
    assert not any(isinstance(layer, (SPConv2D, nn.BatchNorm2D)) for layer in fused.sublayers())
    np.testing.assert_allclose(fused(x).numpy(), expected, rtol=1e-4, atol=1e-5)
    assert type(fused.stages["one"][0]).__name__ == type(fused.first).__name__


def test_entries_of_layers_that_are_registered_nowhere_come_back_when_a_conversion_fails():
    network = nets.trained(InLayersOfNoOne())
    inner = network.second
    network.others.append(lambda x: inner(x))
    network.forward = lambda x: network.others[1](InLayersOfNoOne.forward(network, x))
    before = network.first
    with pytest.raises(ConversionError, match="layer 'second': the network still runs the old"):
        convert(network, inplace=True, input_shape=(1, 8, 6, 6))
    assert network.stages["one"][0] is network.first is before
    assert network.others[0][0][0] is network.second is inner


@pytest.mark.parametrize("groups", [1, 2])
def test_a_fused_layer_is_a_converted_one(groups):
    network = nets.trained(nn.Sequential(nets.conv(3), nets.conv(8, 8)))
    fused = fuse(convert(network, groups=groups, fusion="sum"), input_shape=(1, 3, 8, 8))
    assert [site.reason for site in find_sites(fused)][1] == "already an SPConv2D"
    with pytest.warns(NoEffectWarning, match="none of the 2 convolutions is eligible"):
        again = convert(fused)
    x = paddle.randn([1, 3, 8, 8])
    np.testing.assert_array_equal(again(x).numpy(), fused(x).numpy())


class ByKeyword(nn.Layer):
    """Calls its layers with keywords, which Paddle's hooks aren't given."""

    def __init__(self, name):
        super().__init__()
        self.stem, self.conv, self.norm, self.name = nets.conv(3), nets.conv(), nn.BatchNorm2D(8), name

    def forward(self, x):
        x = self.stem(x)
        return self.norm(input=self.conv(**{self.name: x})) + x


@pytest.mark.parametrize("name", ["x", "input"] if paddle.__version__ >= "3" else ["x"])
def test_layers_that_are_called_by_keyword(name):
    network = nets.trained(ByKeyword(name))
    x = paddle.randn([8, 3, 10, 10])
    shape = (1, 3, 10, 10)
    for options in ({}, {"init": "lstsq", "calibration": [x]}):
        slim = convert(network, fusion="sum", input_shape=shape, **options)
        assert isinstance(slim.conv, SPConv2D)
        fused = fuse(slim, input_shape=shape)
        assert not any(isinstance(layer, nn.BatchNorm2D) for layer in fused.sublayers())
        np.testing.assert_allclose(fused(x).numpy(), slim(x).numpy(), atol=1e-4)
    assert cost(slim, shape).macs < cost(network, shape).macs
