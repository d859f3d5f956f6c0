"""What a network makes of a layer besides running it: it mustn't matter that another stands there."""

import networks as nets
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from spconvify import ConversionError, SPConv2D, convert, find_sites, fuse, load, save

SHAPE = (1, 8, 6, 6)


class Blocks(nn.Layer):
    """Runs its layers in a row, as `way` says."""

    def __init__(self, way):
        super().__init__()
        self.blocks, self.way = nn.LayerList([nets.conv(), nn.ReLU(), nets.conv()]), way

    def forward(self, x):
        for layer in self.blocks:
            x = self.way(layer, x)
        return x


def by_class(layer, x):
    return 0.5 * layer(x) if isinstance(layer, nn.Conv2D) else layer(x)


def by_name_of_class(layer, x):
    return -layer(x) if type(layer).__name__ == "Conv2D" else layer(x)


def by_key(layer, x):
    return layer(x) * (2.0 if hasattr(layer, "_kernel_size") else 1.0)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("way", [by_class, by_name_of_class, by_key])
def test_networks_that_ask_what_a_layer_is_are_refused(way, inplace):
    network = nets.trained(Blocks(way))
    before, x = network.blocks[0], paddle.randn(SHAPE)
    expected = network(x).numpy()
    with pytest.raises(ConversionError, match=r"treats a new layer otherwise.*exclude='NAME'"):
        convert(network, fusion="sum", inplace=inplace, input_shape=SHAPE)
    assert network.blocks[0] is before
    np.testing.assert_array_equal(network(x).numpy(), expected)


def test_asking_for_another_class_is_no_obstacle():
    network = nets.trained(Blocks(lambda layer, x: layer(x) + isinstance(layer, nn.ReLU)))
    assert isinstance(convert(network, input_shape=SHAPE).blocks[2], SPConv2D)


def test_a_network_that_is_never_the_same_is_not_judged():
    network = nets.trained(Blocks(lambda layer, x: F.dropout(layer(x), training=True)))
    assert isinstance(convert(network, input_shape=SHAPE).blocks[2], SPConv2D)


def numbered(network):
    """As networks that are built from a list do."""
    for index, layer in enumerate(network.blocks):
        layer.i, layer.gain = index, 1.0 + index
    return network


def by_number(layer, x):
    return layer(x) * getattr(layer, "gain", 1.0) + layer.i


def test_what_was_set_on_a_layer_goes_along(tmp_path):
    network = numbered(nets.trained(Blocks(by_number)))
    x = paddle.randn(SHAPE)
    slim = convert(network, fusion="sum", input_shape=SHAPE)
    slim.eval()
    assert isinstance(slim.blocks[2], SPConv2D)
    assert slim.blocks[2].gain == 3.0
    fused = fuse(slim, input_shape=SHAPE)
    np.testing.assert_allclose(fused(x).numpy(), slim(x).numpy(), atol=1e-4)
    assert fused.blocks[0].i == 0
    assert not isinstance(fused.blocks[0], SPConv2D)
    save(slim, tmp_path / "slim.pdparams")
    loaded = load(tmp_path / "slim.pdparams", numbered(Blocks(by_number)))
    loaded.eval()
    np.testing.assert_array_equal(loaded(x).numpy(), slim(x).numpy())


def test_layers_with_parts_of_their_own_are_left_alone():
    network = nets.trained(Blocks(lambda layer, x: layer(x) * getattr(layer, "mask", 1.0)))
    network.blocks[0].register_buffer("mask", paddle.full([1], 0.5))
    network.blocks[2].inner = nn.ReLU()
    reasons = {site.name: site.reason for site in find_sites(network)}
    assert reasons == {
        "blocks.0": "what was added to it would be lost: 'mask'",
        "blocks.2": "what was added to it would be lost: 'inner'",
    }


def test_an_error_that_shows_a_layer_is_named():
    network = nets.trained(Blocks(lambda layer, x: layer(x)))
    scales = dict.fromkeys(network.blocks, 2.0)
    network.way = lambda layer, x: layer(x) * scales[layer]
    with pytest.raises(ConversionError, match="converted network doesn't run: KeyError: SPConv2D"):
        convert(network, inplace=True, input_shape=SHAPE)
