"""SPConv2D against its definition, written out with plain functions."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from networks import trained

from spconvify import ArgumentError, SPConv2D
from spconvify.operators.spconv.settings import representative_channels


def by_definition(layer, x):
    """Equations 2 to 7 of the paper, on NCHW, with a softmax over two stacked logits."""
    r, d, s = layer.representative, layer.dilation, layer.stride
    if layer.channels is not None:
        x = paddle.to_tensor(x.numpy()[:, layer.channels.numpy()])
    padding = layer.padding
    x3, x1 = x[:, :r], x[:, r:]
    gwc = F.conv2d(x3, layer.gwc.weight, stride=s, padding=padding, dilation=d, groups=layer.groups)
    if padding == 0:
        x3, x1 = x3[:, :, d:-d, d:-d], x1[:, :, d:-d, d:-d]
    if s == 2:
        x3, x1 = (F.avg_pool2d(part, 2, 2, ceil_mode=True) for part in (x3, x1))
    y3 = gwc + F.conv2d(x3, layer.pwc.weight)
    y1 = F.conv2d(x1, layer.conv1x1.weight, layer.conv1x1.bias)
    if layer.fusion == "sum":
        return y3 + y1
    y3, y1 = layer.bn1(y3), layer.bn2(y1)
    logits = paddle.stack([y3.mean(axis=[2, 3]), y1.mean(axis=[2, 3])])
    b3, b1 = F.softmax(logits, axis=0).unsqueeze(-1).unsqueeze(-1)
    return b3 * y3 + b1 * y1


@pytest.mark.parametrize("fusion", ["gap", "sum"])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("stride", "dilation", "padding"), [(1, 1, None), (2, 1, None), (1, 2, 0), (2, 1, "SAME"), (2, 2, 0)]
)
@pytest.mark.parametrize(("ratio", "size"), [(0.125, 9), (0.5, 10), (0.75, 7)])
def test_equals_its_definition(fusion, groups, stride, dilation, padding, ratio, size):
    layer = SPConv2D(
        32, 8, stride, ratio=ratio, groups=groups, dilation=dilation, fusion=fusion, padding=padding,
        bias_attr=None, channels=np.random.default_rng(1).permutation(32),
    )  # fmt: skip
    channels = layer.channels.clone()
    trained(layer)
    assert (layer.channels == channels).all()
    x = paddle.randn([3, 32, size, size + 1])
    expected = by_definition(layer, x)
    np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("fusion", ["gap", "sum"])
@pytest.mark.parametrize(("stride", "padding"), [(1, None), (2, None), (2, 0), (2, "SAME")])
def test_nhwc_equals_nchw(fusion, stride, padding):
    options = {"stride": stride, "fusion": fusion, "padding": padding}
    first = trained(SPConv2D(16, 8, **options))
    last = SPConv2D(16, 8, **options, data_format="NHWC")
    last.eval()
    last.set_state_dict(first.state_dict())
    x = paddle.randn([3, 16, 9, 10])
    y = last(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])
    np.testing.assert_allclose(y.numpy(), first(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", [None, 0, "SAME"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [5, 6, 7, 14, 15])
def test_has_the_map_of_the_convolution_it_replaces(padding, stride, size):
    dense = paddle.nn.Conv2D(8, 4, 3, stride, padding=1 if padding is None else padding)
    slim = SPConv2D(8, 4, stride, padding=padding)
    x = paddle.randn([1, 8, size, size + 3])
    assert slim(x).shape == dense(x).shape


def test_names_and_biases_are_the_articles():
    keys = set(SPConv2D(8, 4, fusion="gap", bias_attr=None).state_dict())
    norm = {f"{n}.{k}" for n in ("bn1", "bn2") for k in ("weight", "bias", "_mean", "_variance")}
    assert keys == {"gwc.weight", "pwc.weight", "conv1x1.weight", "conv1x1.bias"} | norm
    assert set(SPConv2D(8, 4).state_dict()) == {
        "gwc.weight",
        "pwc.weight",
        "conv1x1.weight",
    }


@pytest.mark.parametrize("fusion", ["gap", "sum"])
def test_every_parameter_gets_a_gradient(fusion):
    layer = SPConv2D(8, 4, 2, fusion=fusion, bias_attr=None)
    (layer(paddle.randn([2, 8, 7, 7])) ** 2).mean().backward()
    for name, parameter in layer.named_parameters():
        if parameter.trainable:
            assert parameter.grad is not None, name


@pytest.mark.parametrize(
    ("in_channels", "ratio", "groups", "expected"),
    [(64, 0.5, 2, 32), (18, 0.5, 2, 10), (18, 0.25, 2, 4), (36, 0.125, 4, 4), (16, 1 / 16, 2, 2),
     (4, 0.9, 2, 2), (5, 0.99, 2, 4), (64, 0.125, 1, 8)],
)  # fmt: skip
def test_representative_channels_are_a_multiple_of_groups(in_channels, ratio, groups, expected):
    assert representative_channels(in_channels, ratio, groups) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 0.0}, "ratio 0 isn't inside (0, 1); 0.5 keeps half of the channels 3x3"),
        ({"ratio": float("nan")}, "ratio nan isn't inside (0, 1)"),
        ({"groups": 0}, "groups 0 is less than 1"),
        ({"groups": 8}, "8 input channels can't be split into 8 groups"),
        ({"groups": 3}, "4 output channels can't be split into 3 groups"),
        ({"stride": 3}, "stride 3 isn't 1 or 2"),
        ({"fusion": "max"}, "fusion 'max' is unknown; use one of: sum, gap"),
        ({"padding": 2}, "padding 2 gives the 3x3 and the 1x1 convolutions maps of different sizes"),
        ({"channels": [0] * 8}, "channels isn't a permutation of the 8 input channels"),
        ({"data_format": "NCL"}, "data_format 'NCL' isn't 'NCHW' or 'NHWC'"),
    ],
)
def test_refuses_what_cannot_be(arguments, message):
    with pytest.raises(ArgumentError) as error:
        SPConv2D(8, 4, **arguments)
    assert message in str(error.value)


def test_repr_shows_the_split():
    text = SPConv2D(64, 128, 2, ratio=0.25, fusion="sum").extra_repr()
    assert text == "64 (16 + 48), 128, groups=2, stride=2, fusion=sum"


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [9, 10])
def test_padding_same_ignores_the_dilation_as_paddle_does(stride, size):
    """The 3x3 and the 1x1 convolutions see what a dense convolution with the same settings sees."""
    layer = SPConv2D(8, 8, stride, dilation=3, padding="SAME", fusion="sum")
    plain = SPConv2D(8, 8, stride, padding="SAME", fusion="sum")
    assert layer.dilation == 1
    plain.set_state_dict(layer.state_dict())
    x = paddle.randn([2, 8, size, size])
    np.testing.assert_array_equal(layer(x).numpy(), plain(x).numpy())
    dense = F.conv2d(x, paddle.randn([8, 8, 3, 3]), stride=stride, padding="SAME", dilation=3)
    assert dense.shape == layer(x).shape
