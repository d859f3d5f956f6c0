"""Forms: each computes what the SPConv2D computes, on shapes that hurt."""

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import SPConv2D
from spconvify.engines import registry
from spconvify.network.graph import record
from spconvify.operators.spconv.folded import fold
from spconvify.operators.spconv.forms import BY_NAME, FORMS

INFERENCE, OPENVINO, ONNX_RUNTIME = map(registry.engine, ("inference", "openvino", "onnxruntime"))


def layer_of(seed=0, in_channels=16, out_channels=12, **options):
    return nets.trained(SPConv2D(in_channels, out_channels, **options), seed)


def assert_every_form_equals(layer, x, norm=None):
    folded = fold(layer, norm)
    names = FORMS.candidates(folded)
    with paddle.no_grad():
        expected = layer(x) if norm is None else norm(layer(x))
        for name in names:
            actual = FORMS.build(folded, name)(x)
            assert actual.shape == expected.shape, name
            error = float((actual - expected).abs().max()) / float(expected.abs().max())
            assert error < 2e-5, (name, error)
    return names


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize("ratio", [0.125, 0.25, 0.5, 0.75])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_every_form_equals_the_layer(fusion, ratio, groups, stride):
    layer = layer_of(ratio=ratio, groups=groups, stride=stride, fusion=fusion, bias_attr=None)
    norm = nets.trained(nn.BatchNorm2D(12), seed=1)
    for batch, height, width in ((1, 8, 8), (3, 7, 5)):
        x = paddle.randn([batch, 16, height, width])
        assert_every_form_equals(layer, x, norm)
        names = assert_every_form_equals(layer, x)
    assert ("dense" in names) == (fusion == "sum" and stride == 1)
    assert any(name.endswith("+split") for name in names) == (groups > 1)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize(
    "options",
    [
        {"channels": [5, 9, 0, 15, 3, 2, 8, 1, 4, 6, 7, 10, 11, 12, 13, 14]},
        {"channels": list(range(15, -1, -1)), "stride": 2},
        {"dilation": 2},
        {"dilation": 2, "padding": 0},
        {"padding": 0, "stride": 2},
        {"padding": "SAME", "stride": 2},
        {"padding_mode": "reflect"},
        {"padding_mode": "circular", "stride": 2},
    ],
)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_every_form_keeps_the_geometry(fusion, options, data_format):
    if data_format == "NHWC" and "padding_mode" in options:
        pytest.skip("Paddle pads NHWC by zeros only")
    layer = layer_of(fusion=fusion, data_format=data_format, **options)
    shape = [3, 16, 9, 10] if data_format == "NCHW" else [3, 9, 10, 16]
    names = assert_every_form_equals(layer, paddle.randn(shape))
    assert any(name.endswith("+select") for name in names) == ("channels" in options)


def test_neighbouring_channels_are_sliced():
    backwards = [*range(7, -1, -1), *range(8, 16)]
    for groups, gathers in ((2, True), (1, False)):  # in two groups, the second's channels come first
        folded = fold(layer_of(fusion="sum", groups=groups, channels=backwards))
        take = FORMS.build(folded, "pointwise-last").affine.spread.take
        assert bool(take.pick) == gathers
        assert any("select" in name for name in FORMS.candidates(folded)) == gathers


@pytest.mark.parametrize("fusion", ["sum", "gap"])
def test_scattered_channels_stay_in_onednns_layout_by_default(fusion):
    scattered = fold(layer_of(fusion=fusion, channels=[*range(0, 16, 2), *range(1, 16, 2)]))
    form = FORMS.default(scattered, INFERENCE)
    assert form.partition("+")[2] == ("split" if paddle.__version__.startswith("2.") else "select")
    assert "+" not in FORMS.default(scattered, ONNX_RUNTIME)
    assert FORMS.default(scattered, OPENVINO) == {"sum": "pointwise-last", "gap": "two-means"}[fusion]
    assert "select" not in FORMS.default(fold(layer_of(fusion=fusion)), INFERENCE)


def test_gaps_1x1_takes_all_channels_where_the_rest_is_not_one_piece():
    middle = [*range(4, 12), *range(0, 4), *range(12, 16)]
    for stride in (1, 2):
        layer = layer_of(fusion="gap", channels=middle, stride=stride)
        assert FORMS.build(fold(layer), "two-parts").conv1x1.weight.shape == [12, 16, 1, 1]
        assert_every_form_equals(layer, paddle.randn([3, 16, 7, 5]))


def test_one_split_serves_all_parts():
    for stride, splits in ((1, 1), (2, 2)):  # with stride 2 the 3x3 sees another map than the 1x1s
        form = FORMS.build(fold(layer_of(fusion="gap", stride=stride)), "two-parts")
        graph = record(form, {}, paddle.randn([1, 16, 8, 8]))
        assert [operation.name for operation in graph.operations].count("split") == splits


def test_a_form_knows_its_name():
    folded = fold(layer_of(fusion="gap"))
    for name in FORMS.candidates(folded):
        assert FORMS.build(folded, name).form == name
        assert f"form={name}" in repr(FORMS.build(folded, name))
    for engine in ("inference", "onnxruntime", "eager", "tensorrt"):
        assert FORMS.default(folded, registry.engine(engine)) in FORMS.candidates(folded)


def test_forms_are_named_after_their_fusion():
    assert {form.fusion for form in BY_NAME.values()} == {"sum", "gap"}
    assert all(form.name == name for name, form in BY_NAME.items())


@pytest.mark.parametrize("dtype", ["float64"])
def test_a_form_has_the_layers_dtype(dtype):
    layer = layer_of(fusion="gap")
    layer.to(dtype=dtype)
    x = paddle.randn([2, 16, 6, 6]).astype(dtype)
    folded = fold(layer)
    for name in FORMS.candidates(folded):
        actual, expected = FORMS.build(folded, name)(x), layer(x)
        assert actual.dtype == expected.dtype
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), rtol=1e-9, atol=1e-9)


def test_openvino_gets_no_groups_as_convolutions_of_their_own():
    for fusion in ("sum", "gap"):
        folded = fold(layer_of(fusion=fusion))
        assert any(name.endswith("+split") for name in FORMS.candidates(folded))
        assert not any(name.endswith("+split") for name in FORMS.candidates(folded, OPENVINO))
        assert FORMS.default(folded, OPENVINO) in FORMS.candidates(folded, OPENVINO)
