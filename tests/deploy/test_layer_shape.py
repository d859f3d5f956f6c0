"""A layer's shape: read off a convolution, narrowed, and built again."""

import itertools

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, EngineError
from spconvify.deploy.layer_networks import with_layer, without_layer
from spconvify.deploy.layer_shape import LayerShape
from spconvify.engines import registry
from spconvify.network.random_values import random_values
from spconvify.operators.spconv.forms import FORMS
from spconvify.operators.spconv.settings import SPConvSettings

HALF = SPConvSettings(0.5, 2, "sum")
PADDINGS = [0, 1, 3, "SAME", "VALID", [1, 2], [0, 1, 2, 3], [[0, 0], [0, 0], [1, 2], [0, 3]]]


@pytest.mark.parametrize("padding", PADDINGS, ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_a_convolution_and_its_shape(padding, last):
    if last and isinstance(padding, list) and len(padding) == 4 and isinstance(padding[0], list):
        padding = [padding[0], *padding[2:], padding[1]]
    for stride, dilation, kernel in itertools.product(([1, 1], [2, 2], [2, 1]), (1, 2), (3, [1, 5])):
        if padding == "SAME" and dilation > 1:
            continue  # Paddle takes no such
        conv = nn.Conv2D(
            8, 4, kernel, stride, padding, dilation, groups=2, data_format="NHWC" if last else "NCHW"
        )
        sizes = (2, 13, 16, 8) if last else (2, 8, 13, 16)
        shape = LayerShape.of(conv, sizes)
        assert hash(shape) == hash(LayerShape.of(conv, list(sizes)))
        assert shape.input_shape == sizes
        expected = conv(paddle.to_tensor(random_values(sizes)))
        height, width = expected.shape[1:3] if last else expected.shape[2:]
        assert shape.output_size == (height, width)
        again = shape.build("eager")
        assert again(paddle.to_tensor(random_values(sizes))).shape == expected.shape
        assert again._data_format == conv._data_format
        assert again.bias is not None


def test_other_paddings_are_kept():
    conv = nn.Conv2D(8, 8, 3, padding=1, padding_mode="reflect")
    shape = LayerShape.of(conv, (1, 8, 9, 9))
    assert shape.output_size == (9, 9)
    assert shape.build("eager")._padding_mode == "reflect"


def test_narrowed():
    shape = LayerShape.of(nets.conv(16, 32, stride=2), (1, 16, 8, 8), HALF)
    narrow = shape.narrowed(8, 12)
    assert (narrow.in_channels, narrow.out_channels, narrow.stride) == (8, 12, (2, 2))
    assert (narrow.size, narrow.settings, narrow.groups) == ((8, 8), HALF, 1)
    depthwise = LayerShape.of(nets.conv(16, 16, groups=16), (1, 16, 8, 8)).narrowed(8, 8)
    assert depthwise.build("eager").weight.shape == [8, 1, 3, 3]


@pytest.mark.parametrize("engine", ["inference", "openvino", "onnxruntime"])
def test_a_replaced_layer_has_the_form_that_is_the_engines_usual_one(engine):
    for settings in (HALF, SPConvSettings(0.25, 2, "gap"), SPConvSettings(0.5, 2, "sum", None, True)):
        layer = LayerShape.of(nets.conv(16, 32, stride=2), (1, 16, 8, 8), settings).build(engine)
        scattered = (settings.reorder, settings.reorder)
        wanted = [
            form
            for form in registry.engine(engine).preferred_forms(*scattered)
            if form.startswith("two") == (settings.fusion == "gap")
        ]
        assert layer.form == (wanted or ["pointwise-last"])[0] or settings.fusion == "gap"
        assert layer(paddle.to_tensor(random_values((1, 16, 8, 8)))).shape == [1, 32, 4, 4]


def test_chosen_channels_lie_all_over_the_map(monkeypatch):
    seen, build = [], FORMS.build

    def seeing(_, folded, form):
        seen.append(folded)
        return build(folded, form)

    monkeypatch.setattr(type(FORMS), "build", seeing)
    conv = nets.conv(16, 16)
    for reorder in (False, True):
        LayerShape.of(conv, (1, 16, 8, 8), SPConvSettings(0.5, 2, "sum", None, reorder)).build("eager")
    plain, chosen = seen
    assert plain.channels.tolist() == list(range(16))
    assert np.abs(np.diff(chosen.representative)).max() > 1
    assert sorted(chosen.channels) == list(range(16))


def test_what_there_is_not():
    shape = LayerShape.of(nets.conv(16, 15), (1, 16, 8, 8), HALF)
    with pytest.raises(ArgumentError, match="15 output channels can't be split into 2 groups"):
        shape.build("eager")
    with pytest.raises(EngineError, match=r"LayerShape\(in_channels=16.* can't be built: 15 output"):
        with_layer(shape).build("eager")
    with pytest.raises(EngineError, match="can't be built"):
        with_layer(LayerShape.of(nets.conv(16, groups=4), (1, 16, 8, 8)).narrowed(6, 8)).build("eager")


def test_building_leaves_the_users_random_numbers_and_names_alone():
    shape = LayerShape.of(nets.conv(16, 16), (1, 16, 8, 8), HALF)
    paddle.seed(3)
    expected, name = paddle.rand([4]).tolist(), nets.conv().weight.name
    paddle.seed(3)
    for network in (with_layer(shape), *without_layer(shape)):
        network.build("eager")
    assert paddle.rand([4]).tolist() == expected
    following = nets.conv().weight.name
    assert number_in(following) == number_in(name) + 1


def number_in(name):
    """Of conv2d_12.w_0: 12."""
    return int(name.split("_")[1].split(".")[0])


def ran(network):
    return network.build("eager")(paddle.to_tensor(random_values(network.input_shape))).shape


def test_surroundings_with_and_without_the_layer():
    shape = LayerShape.of(nets.conv(16, 16), (2, 16, 9, 8))
    (empty,) = without_layer(shape)
    assert ran(with_layer(shape)) == ran(empty) == [2, 4, 9, 8]
    assert "shortcut" in empty.key
    strided = LayerShape.of(nets.conv(16, 24, stride=2, data_format="NHWC"), (2, 9, 8, 16))
    before, after = without_layer(strided)
    assert ran(with_layer(strided)) == ran(after) == [2, 5, 4, 4]
    assert ran(before) == [2, 9, 8, 4]
    assert after.build("eager").leave._in_channels == 24
    assert before.build("eager").entry._out_channels == 16
    (both,) = without_layer(LayerShape.of(nn.Conv2D(16, 24, 1), (1, 16, 8, 8)).narrowed(16, 16))
    assert both.key == without_layer(LayerShape.of(nets.conv(16, 16), (1, 16, 8, 8)))[0].key


def test_keys_tell_all_layers_apart():
    conv = nets.conv(16, 16)
    shapes = [
        LayerShape.of(conv, (1, 16, 8, 8)), LayerShape.of(conv, (2, 16, 8, 8)),
        LayerShape.of(conv, (1, 16, 8, 9)), LayerShape.of(conv, (1, 16, 8, 8), HALF),
        LayerShape.of(conv, (1, 16, 8, 8), SPConvSettings(0.25, 2, "sum")),
        LayerShape.of(conv, (1, 16, 8, 8)).narrowed(16, 8),
        *(LayerShape.of(nets.conv(16, 16, **options), (1, 16, 8, 8)) for options in (
            {"stride": 2}, {"padding": 0}, {"dilation": 2}, {"groups": 2},
            {"padding": 1, "padding_mode": "reflect"},
        )),
        LayerShape.of(nets.conv(16, 16, data_format="NHWC"), (1, 16, 8, 16)),
    ]  # fmt: skip
    networks = [network for shape in shapes for network in (with_layer(shape), *without_layer(shape))]
    distinct = {network.key for network in networks}
    assert len({with_layer(shape).key for shape in shapes}) == len(shapes)
    assert len(distinct) < len(networks)  # surroundings are shared
