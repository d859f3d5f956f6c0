"""An export says whether it is worth anything beside the network that was there before."""

import warnings

import networks as nets
import paddle
import pytest
from paddle import nn

from spconvify import EngineError, SPConv2D, convert, export, fuse
from spconvify.deploy.against_original import with_dense_layers
from spconvify.deploy.export import read_manifest
from spconvify.deploy.tune import FormChoice
from spconvify.engines import Latency
from spconvify.errors import SlowerWarning
from spconvify.network.replacement import Replacement
from spconvify.report.exported import export_lines

SHAPE = (1, 3, 16, 16)


def replaced(model):
    return [layer for layer in model.sublayers(include_self=True) if isinstance(layer, Replacement)]


@pytest.mark.parametrize("fusion", ["sum", "gap"])
def test_the_original_has_its_convolutions_again(fusion):
    original = nets.trained(nets.PlainNet())
    model = nets.trained(convert(original, fusion=fusion))
    fused = fuse(model)
    dense = with_dense_layers(model, fused)
    assert not replaced(dense)
    assert len(replaced(fused)) == len(replaced(model)) == 2
    expected = {name: layer for name, layer in fuse(original).named_sublayers() if layer._parameters}
    found = {name: layer for name, layer in dense.named_sublayers() if layer._parameters}
    for name, layer in expected.items():
        assert type(found[name]) is type(layer), name
        assert found[name].weight.shape == layer.weight.shape, name
    assert found.keys() == expected.keys()
    x = paddle.randn(SHAPE)
    assert dense(x).shape == fused(x).shape
    assert not any(layer.training for layer in dense.sublayers(include_self=True))


def test_shared_layers_and_the_network_itself():
    model = nets.trained(convert(nets.SharedConvNet()))
    dense = with_dense_layers(model, fuse(model))
    assert type(dense.first) is nn.Conv2D
    assert dense.first is dense.second is dense.block[0]
    layer = nets.trained(SPConv2D(8, 8, 2))
    assert type(with_dense_layers(layer, fuse(layer))) is nn.Conv2D


def test_what_has_no_original():
    model = nets.trained(nets.PlainNet())
    assert with_dense_layers(model, fuse(model)) is None
    fused = fuse(nets.trained(convert(nets.PlainNet())))
    assert with_dense_layers(fused, fuse(fused)) is None


@pytest.fixture
def measured(monkeypatch):
    """What is measured: put two latencies in, or an error."""
    found = []

    def measure(networks, *_, **__):
        assert list(networks) == ["original", "exported"]
        if isinstance(found[0], Exception):
            raise found[0]
        return dict(zip(networks, (Latency(*values, 9) for values in found)))

    monkeypatch.setattr("spconvify.deploy.against_original.measure", measure)
    monkeypatch.setattr("spconvify.deploy.export.choose_forms", lambda *_, **__: FormChoice())
    return found


def line(folder):
    found = [text for text in export_lines(folder, read_manifest(folder)) if "original" in text]
    return " ".join(found[0].split()) if found else ""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            (30, 29, 31), (40, 39, 41),
            "original 30.0 ms (29.0–31.0) by turns with 40.0 ms (39.0–41.0): 1.33x slower (1.26–1.41x); "
            "slower than the original: deploy that one",
        ),
        ((40, 39, 41), (20, 19, 21), "2.00x faster (1.86–2.16x)"),
        ((40, 30, 50), (35, 25, 45), "1.14x, noisy (0.67–2.00x)"),
        ((40, 39.5, 40), (40, 39.5, 40), "no difference (0.99–1.01x), and the original is more exact"),
        ((1, 0.9, 1.1), (1, 0.9, 1.1), "too small to gain (0.82–1.22x), and the original is more exact"),
    ],
)  # fmt: skip
def test_it_is_said_how_it_does(tmp_path, measured, before, after, said):
    measured += [before, after]
    model = nets.trained(convert(nets.PlainNet()))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder = export(model, tmp_path / "out", SHAPE)
    texts = [str(one.message) for one in caught if one.category is SlowerWarning]
    slower = "slower than the original" in said
    assert texts == slower * [
        "slower than the original in Paddle Inference, 40 ms instead of 30 ms: deploy that one"
    ]
    assert line(folder).endswith(said)
    again = read_manifest(folder)
    assert again.against_original.to_dict() == again.to_dict()["against_original"]
    assert again.against_original.original.median == before[0]


def test_what_cannot_be_measured_is_exported_all_the_same(tmp_path, measured):
    measured.append(EngineError("no"))
    folder = export(nets.trained(convert(nets.PlainNet())), tmp_path / "out", SHAPE)
    assert read_manifest(folder).against_original is None
    assert line(folder) == ""


@pytest.mark.parametrize("why", ["not tuned", "not converted", "all dense"])
def test_nothing_is_measured_where_it_would_say_nothing(tmp_path, measured, monkeypatch, why):
    model = nets.trained(nets.PlainNet())
    if why != "not converted":
        model = nets.trained(convert(model, include="conv2"))
    if why == "all dense":
        choice = FormChoice({"conv2": "dense"})
        monkeypatch.setattr("spconvify.deploy.export.choose_forms", lambda *_, **__: choice)
    folder = export(model, tmp_path / "out", SHAPE, tune=why != "not tuned")
    assert read_manifest(folder).against_original is None
    assert (line(folder) != "") == (why == "all dense")
