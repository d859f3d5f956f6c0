import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddle import nn

from spconvify import SPConv2D, zoo
from spconvify.errors import CheckpointError


def shapes_of(layer):
    return {name: tuple(tensor.shape) for name, tensor in layer.state_dict().items()}


def damaged(changes, **options):
    shapes = shapes_of(nn.Sequential(SPConv2D(8, 12, fusion="gap", **options)))
    for key, shape in changes.items():
        if shape is None:
            del shapes[key]
        else:
            shapes[key] = shape
    with pytest.raises(CheckpointError) as error:
        zoo.spconv_sites(shapes)
    return str(error.value)


@pytest.mark.parametrize("fusion", ["gap", "sum"])
@pytest.mark.parametrize("bias_attr", [None, False])
@pytest.mark.parametrize("channels", [None, [7, 6, 5, 4, 3, 2, 1, 0]])
def test_the_settings_come_back_from_the_keys(fusion, bias_attr, channels):
    layer = SPConv2D(8, 12, ratio=0.25, fusion=fusion, bias_attr=bias_attr, channels=channels)
    expected = zoo.SPConvKeys(8, 12, 2, 2, fusion, bias_attr is None, channels is not None)
    network = nn.Sequential(nn.Conv2D(3, 8, 3), nn.Sequential(layer))
    assert zoo.spconv_sites(shapes_of(network)) == {"1.0": expected}
    assert zoo.spconv_sites(shapes_of(layer)) == {"": expected}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_any_split_comes_back_and_becomes_dense_again(data):
    groups = data.draw(st.integers(1, 6))
    in_channels = data.draw(st.integers(groups + 1, 40))
    out_channels = groups * data.draw(st.integers(1, 8))
    ratio = data.draw(st.floats(0.01, 0.99))
    layer = SPConv2D(in_channels, out_channels, ratio=ratio, groups=groups, fusion="sum")
    (found,) = zoo.spconv_sites(shapes_of(layer)).values()
    assert (found.in_channels, found.out_channels, found.groups) == (in_channels, out_channels, groups)
    assert found.representative == layer.representative
    assert zoo.dense_shapes(shapes_of(layer)) == {"weight": (out_channels, in_channels, 3, 3)}


def test_dense_shapes_leaves_everything_else():
    network = nn.Sequential(
        SPConv2D(8, 12, fusion="gap", bias_attr=None), nn.BatchNorm2D(12), nn.Linear(12, 2)
    )
    before = shapes_of(network)
    dense = zoo.dense_shapes(before)
    own = {key for key in before if key.startswith("0.")}
    assert dense == {**{k: s for k, s in before.items() if k not in own}, "0.weight": (12, 8, 3, 3)}


@pytest.mark.parametrize(
    "shapes",
    [
        {"gwc.weight": (4, 1, 3, 3), "fc.weight": (3, 2)},
        {"a.conv1x1.weight": (4, 2, 1, 1), "b.pwc.weight": (4, 2, 1, 1), "channels": (4,)},
        {"egwc.weight": (4, 1, 3, 3), "epwc.weight": (4, 2, 1, 1), "econv1x1.weight": (4, 2, 1, 1)},
    ],
)
def test_layers_that_only_have_such_a_name_are_no_sites(shapes):
    assert zoo.spconv_sites(shapes) == {}
    assert zoo.dense_shapes(shapes) == shapes


DAMAGES = [
    ({"0.pwc.weight": None}, {}, "'0.pwc.weight' is missing"),
    ({"0.bn2._mean": None}, {}, "'0.bn2._mean' is missing"),
    (
        {"0.gwc.weight": (12, 2, 5, 5)},
        {},
        "'0.gwc.weight' has shape (12, 2, 5, 5), and (12, 2, 3, 3) would fit the others",
    ),
    (
        {"0.conv1x1.weight": (10, 4, 1, 1)},
        {},
        "'0.conv1x1.weight' has shape (10, 4, 1, 1), and (12, 4, 1, 1) would fit the others",
    ),
    ({"0.bn1.bias": (8,)}, {}, "'0.bn1.bias' has shape (8,), and (12,) would fit the others"),
    (
        {"0.conv1x1.bias": (3,)},
        {"bias_attr": None},
        "'0.conv1x1.bias' has shape (3,), and (12,) would fit the others",
    ),
    (
        {"0.channels": (7,)},
        {"channels": range(8)},
        "'0.channels' has shape (7,), and (8,) would fit the others",
    ),
    (
        {"0.gwc.weight": (12, 3, 3, 3)},
        {},
        "4 representative and 12 output channels don't fit groups of 3 channels",
    ),
    (
        {"0.pwc.weight": (12, 0, 1, 1)},
        {},
        "weights of shape (12, 2, 3, 3), (12, 0, 1, 1) and (12, 4, 1, 1) aren't those of convolutions",
    ),
    (
        {"0.gwc.weight": ()},
        {},
        "weights of shape (), (12, 4, 1, 1) and (12, 4, 1, 1) aren't those of convolutions",
    ),
]


@pytest.mark.parametrize(("changes", "options", "message"), DAMAGES)
def test_inconsistent_keys_name_the_site(changes, options, message):
    assert damaged(changes, **options) == f"SPConv at '0': {message}; is the checkpoint complete?"


def test_output_channels_that_no_group_divides():
    shapes = {"gwc.weight": (7, 2, 3, 3), "pwc.weight": (7, 4, 1, 1), "conv1x1.weight": (7, 4, 1, 1)}
    with pytest.raises(CheckpointError) as error:
        zoo.spconv_sites(shapes)
    assert str(error.value) == (
        "SPConv at the root: 4 representative and 7 output channels don't fit groups of 2 channels; "
        "is the checkpoint complete?"
    )
