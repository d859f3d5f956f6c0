"""save and load: bit-equal round trips, identification, and files that don't fit."""

import copy

import networks as nets
import numpy as np
import paddle
import pytest

from spconvify import (
    ArgumentError,
    CheckpointError,
    CheckpointWarning,
    SPConv2D,
    convert,
    load,
    save,
    zoo,
)
from spconvify.source.loading import open_source


def state(model):
    return {key: value.numpy() for key, value in model.state_dict().items()}


def assert_same(model, expected):
    actual = state(model)
    assert list(actual) == list(expected)
    for key in expected:
        assert actual[key].dtype == expected[key].dtype
        np.testing.assert_array_equal(actual[key], expected[key], err_msg=key)


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
@pytest.mark.parametrize("fusion", ["gap", "sum"])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_converted_checkpoint_needs_no_side_file(tmp_path, suffix, fusion, groups):
    model = nets.trained(convert(zoo.find("resnet20", 37, 1).build(), 0.25, groups, fusion=fusion))
    path = save(model, tmp_path / f"x{suffix}")
    source = open_source(str(path))
    assert (source.architecture.name, source.architecture.num_classes) == ("resnet20", 37)
    assert source.converted
    loaded = load(path)
    assert_same(loaded, state(model))
    x = paddle.randn([3, 1, 15, 17])
    loaded.eval()
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())


def test_partly_converted_with_different_ratios(tmp_path):
    built = zoo.find("resnet20").build()
    model = convert(built, exclude="layer1.*", ratios={"layer3.*": 0.25})
    loaded = load(save(model, tmp_path / "x.pdparams"))
    assert type(loaded.layer1[0].conv1) is paddle.nn.Conv2D
    assert loaded.layer2[1].conv1.representative == 16
    assert loaded.layer3[1].conv1.representative == 16
    assert_same(loaded, state(model))


def test_into_a_given_model(tmp_path):
    model = nets.trained(convert(nets.PlainNet(), fusion="sum"))
    path = save(model, tmp_path / "x.pdparams")
    dense, converted = nets.PlainNet(), convert(nets.PlainNet(), fusion="sum")
    assert load(path, dense) is dense
    assert isinstance(dense.conv1, SPConv2D)
    assert_same(dense, state(model))
    assert load(path, converted) is converted
    assert_same(converted, state(model))


def test_root_convolution(tmp_path):
    model = convert(nets.conv(), fusion="sum")
    assert_same(load(save(model, tmp_path / "x.pdparams"), nets.conv()), state(model))


def test_keeps_the_channel_order(tmp_path):
    layer = SPConv2D(8, 8, channels=[7, 6, 5, 4, 3, 2, 1, 0])
    loaded = load(save(layer, tmp_path / "x.pdparams"), nets.conv(bias_attr=False))
    assert loaded.channels.tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert_same(loaded, state(layer))


def test_loaded_network_trains(tmp_path):
    model = load(save(convert(zoo.find("resnet20").build()), tmp_path / "x.pdparams"))
    assert model.training
    model(paddle.randn([2, 3, 16, 16])).mean().backward()
    assert all(p.grad is not None for p in model.parameters() if p.trainable)


def test_takes_on_the_checkpoints_precision(tmp_path):
    model = nets.PlainNet()
    expected = {key: value.astype("float64") for key, value in state(model).items()}
    from spconvify.checkpoint import write_state

    write_state(tmp_path / "x.pdparams", expected)
    loaded = load(tmp_path / "x.pdparams", nets.PlainNet())
    assert_same(loaded, expected)


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
@pytest.mark.parametrize("converted", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_computed_with_in_float32(tmp_path, dtype, converted, suffix):
    """A CPU has no convolution in half precision."""
    network = nets.PlainNet()
    if converted:
        network = convert(network, fusion="sum")
    network.to(dtype=dtype)
    path = save(network, tmp_path / f"x{suffix}")
    with pytest.warns(CheckpointWarning, match=f"weights in {dtype}: they are computed with in float32"):
        loaded = load(path, nets.PlainNet())
    for key, value in network.state_dict().items():
        found = loaded.state_dict()[key]
        assert found.dtype == paddle.float32
        np.testing.assert_array_equal(found.numpy(), value.astype("float32").numpy())
    assert loaded(paddle.randn([1, 3, 8, 8])).dtype == paddle.float32
    again = load(save(loaded, tmp_path / f"y{suffix}"), nets.PlainNet())
    assert_same(again, state(loaded))


def test_article_checkpoint_loads(tmp_path):
    """The article's SPConv has a bias on its conv1x1."""
    article = SPConv2D(8, 8, fusion="gap", bias_attr=None)
    loaded = load(save(article, tmp_path / "x.pdparams"), nets.conv())
    assert_same(loaded, state(article))


def test_what_does_not_fit_is_named_and_leaves_the_model_alone(tmp_path):
    path = save(nets.PlainNet(), tmp_path / "x.pdparams")
    other = nets.PlainNet(in_channels=4)
    before = state(other)
    with pytest.raises(CheckpointError) as error:
        load(path, other)
    assert "1 of another shape (stem.weight is 8x3x3x3 and not 8x4x3x3)" in str(error.value)
    assert_same(other, before)
    with pytest.raises(CheckpointError, match=r"missing \(conv.weight, conv.bias.*unexpected \(stem"):
        load(path, nets.UnusedNet())


def test_converted_checkpoint_that_does_not_fit(tmp_path):
    path = save(convert(nets.PlainNet()), tmp_path / "x.pdparams")
    with pytest.raises(CheckpointError, match="doesn't fit this network: the plan's site"):
        load(path, nets.UnusedNet())


def test_unknown_architecture_says_how_to_go_on(tmp_path):
    path = save(nets.PlainNet(), tmp_path / "x.pdparams")
    with pytest.raises(CheckpointError, match="model_or_arch="):
        load(path)
    assert_same(load(path, "networks:PlainNet"), state(load(path, nets.PlainNet())))


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_a_network_takes_on_the_dtype_of_its_weights(tmp_path, suffix, dtype):
    """The root's own parameters too; bfloat16 bits are those of bfloat16 and no integers."""
    wider = {"float64": paddle.float64}.get(dtype, paddle.float32)  # what a CPU computes in
    network = paddle.nn.Conv2D(4, 8, 3, padding=1)
    network.to(dtype=dtype)
    path = save(network, tmp_path / f"x{suffix}")
    loaded = load(path, paddle.nn.Conv2D(4, 8, 3, padding=1))
    again = load(path, copy.deepcopy(network))
    for key, value in network.state_dict().items():
        assert again.state_dict()[key].dtype == value.dtype
    for key, value in network.state_dict().items():
        assert loaded.state_dict()[key].dtype == wider
        wanted, found = (t.astype("float64").numpy() for t in (value, loaded.state_dict()[key]))
        np.testing.assert_array_equal(found, wanted)


NO_NETWORKS = {
    "its class": (paddle.nn.Linear, "the class Linear, not a network"),
    "a state dict": (paddle.nn.Linear(2, 2).state_dict(), "not a paddle.nn.Layer"),
    "a paddle.Model": (paddle.Model(paddle.nn.Linear(2, 2)), "pass its network"),
    "a number": (3, "this is a int, not a paddle.nn.Layer"),
}


@pytest.mark.parametrize(("what", "says"), NO_NETWORKS.values(), ids=NO_NETWORKS)
def test_what_is_no_network_is_called_that(tmp_path, what, says):
    path = tmp_path / "x.pdparams"
    with pytest.raises(ArgumentError, match=says):
        save(what, path)
    assert not path.exists()
    save(nets.PlainNet(), path)
    with pytest.raises(ArgumentError, match=says):
        load(path, what)


def test_arguments_in_the_wrong_order(tmp_path):
    with pytest.raises(ArgumentError, match="this is a str, not a"):
        save(str(tmp_path / "x.pdparams"), nets.PlainNet())


@pytest.mark.parametrize("name", ["r" * 5000, "folder/" + "r" * 300 + ".json", "nul\0byte.pdiparams"])
def test_a_name_that_no_file_can_have_is_called_that(name):
    with pytest.raises((ArgumentError, CheckpointError)):
        load(name)
