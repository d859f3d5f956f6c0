"""slim does from Python what `spconvify convert` does: the same numbers, and the network unchanged."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn

import spconvify
from spconvify import ArgumentError, SpconvifyError
from spconvify.deploy.latencies import Timing
from spconvify.engines import Latency
from spconvify.evaluation.accuracy import top1

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
FEW = 40
INPUT = (1, 1, 28, 28)


def arrays(name, count=FEW):
    with np.load(EXAMPLES / name) as file:
        pixels = file["images"][:count].astype("float32") / 255
        images = (pixels - file["mean"].astype("float32")) / file["std"].astype("float32")
        return images, file["labels"][:count] if "labels" in file.files else None


@pytest.fixture(scope="module")
def images():
    return arrays("fashion_mnist_calibration.npz")[0].reshape(-1, 1, 28, 28)


@pytest.fixture(scope="module")
def labelled():
    found, labels = arrays("fashion_mnist_test.npz")
    return found.reshape(-1, 1, 28, 28), labels


@pytest.fixture(scope="module")
def model():
    return spconvify.load(SHIPPED)


@pytest.fixture(scope="module")
def slimmed(model, images, labelled):
    return spconvify.slim(model, include="layer3.*", calibration=[images], eval_data=labelled)


def test_the_network_is_that_of_convert(model, images, slimmed):
    converted = spconvify.convert(model, include="layer3.*", init="lstsq", calibration=[images])
    expected, found = converted.state_dict(), slimmed.network.state_dict()
    assert expected.keys() == found.keys()
    assert all(np.array_equal(found[key].numpy(), value.numpy()) for key, value in expected.items())
    assert not any(isinstance(layer, spconvify.SPConv2D) for layer in model.sublayers())


def test_everything_is_in_the_comparison(model, labelled, slimmed):
    comparison = slimmed.comparison
    assert [site.name for site in comparison.converted] == list(slimmed.plan.sites)
    assert all(0 < site.error < 1 for site in comparison.converted)
    assert comparison.agreement is not None
    assert comparison.before.top1 == top1(model, *labelled)
    assert comparison.after.top1 == top1(slimmed.network, *labelled)
    assert comparison.before.macs == spconvify.cost(model, (1, 1, 28, 28)).macs
    assert comparison.after.macs == spconvify.cost(slimmed.network, (1, 1, 28, 28)).macs
    assert comparison.timings == []


def test_it_prints_as_the_table(slimmed):
    text = str(slimmed)
    assert text == str(slimmed.comparison)
    assert "parameters" in text
    assert "Agreement with the original" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text
    html = slimmed._repr_html_()
    assert html.startswith("<pre")
    assert "parameters" in html
    assert "style=" in html


def test_names_of_layers_are_no_html():
    network = nn.Sequential(("<b>&", nn.Conv2D(3, 8, 3)), ("two", nn.Conv2D(8, 8, 3)))
    comparison = spconvify.slim(network, name="<script>", input_shape=(1, 3, 16, 16)).comparison
    assert "<script>" not in comparison._repr_html_()
    assert "&lt;script&gt;" in comparison._repr_html_()


def test_labelled_images_alone_give_the_agreement(model, labelled):
    comparison = spconvify.slim(model, include="layer3.*", eval_data=labelled).comparison
    assert comparison.agreement is not None
    assert "with labels" in comparison.agreement.lines[0]


def test_a_metric_of_ones_own(model):
    def parameters(network):
        return sum(int(p.size) for p in network.parameters())

    comparison = spconvify.slim(
        model, include="layer3.*", eval_data=parameters, input_shape=INPUT
    ).comparison
    sides = comparison.metrics["parameters"]
    assert sides["before"] == sum(int(p.size) for p in model.parameters())
    assert sides["after"] < sides["before"]
    assert "parameters " in str(comparison).split("weights")[1]


def test_compare_takes_a_metric_and_labelled_images(model, labelled, images):
    with pytest.raises(ArgumentError, match="kinds say how outputs are compared: give images="):
        spconvify.compare(model, model, INPUT, None, kinds="values")
    comparison = spconvify.compare(model, model, INPUT, None, eval_data=labelled)
    assert comparison.before.top1 == comparison.after.top1 == top1(model, *labelled)
    found = spconvify.compare(
        model, model, INPUT, None, images=images, kinds="values", eval_data=lambda net: {"CER": 2}
    )
    assert found.metrics == {"CER": {"before": 2.0, "after": 2.0, "difference": 0.0}}
    assert found.agreement is not None
    assert found.agreement.outputs[0].kind == "values"


def test_kinds_need_images(model):
    with pytest.raises(ArgumentError, match="kinds say how outputs are compared: give"):
        spconvify.slim(model, kinds="values", input_shape=INPUT)
    with pytest.raises(ArgumentError, match="kinds say how outputs are compared: give"):
        spconvify.convert(model, kinds="values")


def test_kinds_are_checked_before_the_fit(model, images):
    with pytest.raises(ArgumentError, match="no output 'main'"):
        spconvify.convert(model, init="lstsq", calibration=[images], kinds={"main": "values"})


def test_labelled_images_of_several_sizes_are_refused(model, labelled):
    images, labels = labelled
    data = ([images, images[:, :, :20, :20]], np.concatenate([labels, labels]))
    with pytest.raises(ArgumentError, match="several sizes, as 1x28x28 and 1x20x20; bring them to one"):
        spconvify.slim(model, eval_data=data)


def test_one_truth_about_different_ratios(model):
    comparison = spconvify.slim(model, 0.5, ratios={"layer3.*": 0.25}, input_shape=INPUT).comparison
    assert comparison.ratio is None
    assert (comparison.groups, comparison.fusion) == (2, "sum")


def timed(*_, **__):
    latency = Latency(1.0, 0.9, 1.1, 3)
    return Timing("eager", 2, 1, "cpu", latency, latency, latency)


def test_latency_and_where_it_cant_be_had(model, monkeypatch):
    asked = []

    def time_networks(before, after, shape, *where, **options):
        asked.append((shape, where, options["tune"]))
        return timed()

    monkeypatch.setattr("spconvify.deploy.timing.time_networks", time_networks)
    options = {"input_shape": (4, 1, 28, 28), "engine": "eager", "threads": 2, "tune": True}
    comparison = spconvify.slim(model, **options).comparison
    assert asked == [((4, 1, 28, 28), ("eager", 2, "cpu"), True)]
    assert len(comparison.timings) == 1

    def fails(*_, **__):
        raise spconvify.EngineError("it broke")

    monkeypatch.setattr("spconvify.deploy.timing.time_networks", fails)
    comparison = spconvify.slim(model, **options).comparison
    assert comparison.timings == []
    assert "it broke" in comparison.untimed[0]
    assert json.loads(json.dumps(comparison.to_dict(), default=str))["untimed"] == comparison.untimed


def test_only_what_is_faster(model, monkeypatch):
    class Choice:
        slower = ("layer3.2.conv2",)

    monkeypatch.setattr("spconvify.deploy.tune.choose_forms", lambda *_, **__: Choice)
    monkeypatch.setattr("spconvify.deploy.timing.time_networks", timed)
    found = spconvify.slim(
        model, include="layer3.2.*", only_faster=True, engine="eager", input_shape=INPUT
    )
    assert list(found.plan.sites) == ["layer3.2.conv1"]
    sites = {site.name: site.reason for site in found.comparison.sites}
    assert sites["layer3.2.conv2"] == "the dense convolution is faster here"
    Choice.slower = ("layer3.2.conv1", "layer3.2.conv2")
    with pytest.raises(SpconvifyError, match="no site is faster with SPConv here; leave out only_fas"):
        spconvify.slim(model, include="layer3.2.*", only_faster=True, engine="eager", input_shape=INPUT)


def test_the_caller_hears_how_far_it_is(model, images):
    heard = []
    spconvify.slim(
        model,
        include="layer3.2.*",
        calibration=[images],
        progress=lambda *now: heard.append(now),
    )
    assert "fitting layer3.2.conv1" in {text for _, _, text in heard}
    assert all(0 <= done <= total for done, total, _ in heard)


class Digits(paddle.io.Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return np.full((1, 28, 28), index, "float32")


def test_labels_beside_a_loader_that_shuffles_are_refused(model):
    loader = paddle.io.DataLoader(Digits(), batch_size=1, shuffle=True, num_workers=0)
    with pytest.raises(ArgumentError, match="the images of eval_data are others each time"):
        spconvify.slim(model, eval_data=(loader, np.arange(16) % 10))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give input_shape="),
        ({"only_faster": True, "input_shape": INPUT}, "only_faster measures: give the engine too"),
        ({"init": "lstsq", "input_shape": INPUT}, "needs calibration images"),
        ({"init": "copy", "calibration": np.zeros((4, 1, 28, 28), "float32")}, "uses no calibration"),
        ({"eval_data": np.zeros((4, 1, 28, 28), "float32")}, "isn't a pair"),
        ({"eval_data": (np.zeros((2, 1, 28, 28), "float32"), [0, 10])}, "10"),
        ({"eval_data": (np.zeros((2, 1, 28, 28), "uint8"), [0, 1])}, "integers|pixels"),
        ({"seed": 2**40, "input_shape": INPUT}, "seed"),
        ({"input_shape": (1, 3, 28, 28)}, "doesn't run on an input of 1x3x28x28"),
    ],
)
def test_wrong_calls(model, options, message):
    with pytest.raises(ArgumentError, match=message):
        spconvify.slim(model, **options)


def test_nothing_to_convert():
    with pytest.raises(SpconvifyError, match="nothing to convert"):
        spconvify.slim(nn.Sequential(nn.Conv2D(3, 8, 1)), input_shape=(1, 3, 8, 8))


def test_in_training_mode_and_back(model):
    model.train()
    try:
        found = spconvify.slim(model, include="layer3.2.*", input_shape=(2, 1, 28, 28))
        assert model.training
        assert found.network.training
    finally:
        model.eval()
    assert isinstance(found.network(paddle.zeros([2, 1, 28, 28])), paddle.Tensor)
