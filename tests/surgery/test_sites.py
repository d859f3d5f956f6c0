"""Which convolutions are eligible, and why the others aren't."""

from collections import deque
from functools import partial

import networks as nets
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, SPConv2D, find_sites


def reason_of(layer):
    (site,) = find_sites(layer)
    assert site.eligible == (site.reason == "")
    return site.reason


def test_lists_every_convolution_in_order():
    sites = find_sites(nets.PlainNet())
    assert [(site.name, site.reason) for site in sites] == [
        ("stem", "stem: 3 input channels are too few to split"),
        ("conv1", ""),
        ("conv2", ""),
        ("point", "kernel 1x1"),
    ]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, ""),
        ({"padding": 0}, ""),
        ({"padding": "SAME", "stride": 2}, ""),
        ({"padding": "VALID"}, ""),
        ({"padding": [1, 1, 1, 1]}, ""),
        ({"padding": [[0, 0], [0, 0], [1, 1], [1, 1]]}, ""),
        ({"padding": 2, "dilation": 2}, ""),
        ({"padding_mode": "reflect"}, ""),
        ({"data_format": "NHWC"}, ""),
        ({"padding": 2}, "padding 2 gives the 3x3 and the 1x1 branches maps of different sizes"),
        ({"padding": [0, 1, 0, 1]}, "padding [0, 1, 0, 1] gives"),
        ({"stride": 3}, "stride 3x3"),
        ({"stride": [2, 1]}, "stride 2x1"),
        ({"dilation": [1, 2], "padding": [1, 2]}, "dilation 1x2"),
        ({"dilation": [2, 1], "padding": [2, 1]}, "dilation 2x1"),
        ({"groups": 8}, "depthwise: groups=8"),
        ({"groups": 2}, "already grouped: groups=2"),
    ],
)
def test_verdict_on_geometry(options, reason):
    assert reason_of(nets.conv(**options)).startswith(reason)
    assert bool(reason_of(nets.conv(**options))) == bool(reason)


def test_a_kernel_that_is_no_square():
    assert reason_of(nn.Conv2D(8, 8, [3, 5])) == "kernel 3x5"
    assert reason_of(nn.Conv2D(8, 8, [5, 3])) == "kernel 5x3"


def test_what_holds_it_where_nothing_can_be_put():
    model = nets.ConvInPlainList()
    conv = model.conv
    for held in ((conv,), {"a": (conv,)}, [partial(conv, 1)], {conv}, [conv.forward], [[[(conv,)]]]):
        model.convs = held
        assert "ConvInPlainList.convs holds it" in reason_of(model)


def test_entries_of_lists_and_dictionaries_are_replaced_too():
    model = nets.ConvInPlainList()
    conv = model.conv
    for held in ([conv], [[conv]], {"a": conv}, {"a": [{1: conv}]}, deque([conv]), ([conv],)):
        model.convs = held
        assert reason_of(model) == ""


def test_verdict_on_identity():
    hooked = nets.HookedConvNet()
    assert "its forward hooks would be lost" in reason_of(hooked)
    assert "WeightNorm" in reason_of(nn.utils.weight_norm(nets.conv()))
    assert "SpectralNorm" in reason_of(nn.utils.spectral_norm(nets.conv()))
    assert "MyConv is a subclass of Conv2D" in reason_of(nets.MyConv(8, 8, 3, padding=1))
    assert reason_of(nets.ConvInPlainList()) == ""
    assert "BoundMethodAlias.run holds it" in reason_of(nets.BoundMethodAlias())
    assert reason_of(SPConv2D(8, 8)) == "already an SPConv2D"
    tied = find_sites(nets.TiedWeightNet())
    assert {site.reason for site in tied} == {"its weight is shared with another layer"}
    replaced = nets.conv()
    replaced.forward = lambda x: x
    assert reason_of(replaced) == "its forward was replaced on the layer itself"


def test_shared_layer_is_one_site_with_aliases():
    (site,) = find_sites(nets.SharedConvNet())
    assert (site.name, site.aliases, site.eligible) == ("first", ("second", "block.0"), True)


def test_walks_roots_dots_and_nones():
    assert [site.name for site in find_sites(nets.conv())] == [""]
    assert [site.name for site in find_sites(nets.dotted_names())] == ["0", "a.b.0"]
    assert [site.name for site in find_sites(nets.NoneSubLayer())] == ["conv"]


@pytest.mark.parametrize("full_graph", [True, False])
def test_refuses_to_static(full_graph):
    model = paddle.jit.to_static(nn.Sequential(nets.conv()), full_graph=full_graph)
    with pytest.raises(ArgumentError, match="convert first, then call to_static"):
        find_sites(model)


def test_refuses_what_is_no_network():
    with pytest.raises(ArgumentError, match=r"pass its network, model\.network"):
        find_sites(paddle.Model(nets.PlainNet()))
    with pytest.raises(ArgumentError, match=r"pass model\._layers"):
        find_sites(paddle.DataParallel(nets.PlainNet()))
    with pytest.raises(ArgumentError, match=r"this is a dict, not a paddle\.nn\.Layer"):
        find_sites({})
