"""The ResNet-18 for small images, and the weights of it that are shipped."""

from pathlib import Path

import numpy as np
import paddle
import pytest

import spconvify
from spconvify import CheckpointError, zoo
from spconvify.checkpoint import read_state
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.surgery.changes import Narrow, Replace
from spconvify.surgery.planning import Plan
from spconvify.zoo.cifar import resnet18_small

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("width", [8, 32])
def test_four_stages_halve_the_map_three_times(width):
    network = resnet18_small(width=width)
    maps = network.layer4(
        network.layer3(network.layer2(network.layer1(paddle.rand([1, width, 28, 28]))))
    )
    assert maps.shape == [1, 8 * width, 4, 4]
    assert network(paddle.rand([1, 1, 28, 28])).shape == [1, 10]


def test_the_shipped_weights_tell_the_images_apart():
    network = resnet18_small()
    state = read_state(EXAMPLES / "resnet18_fashion_mnist.pdparams")
    network.set_state_dict({key: array.astype("float32") for key, array in state.items()})
    network.eval()
    with np.load(EXAMPLES / "fashion_mnist_test.npz") as file:
        pixels, labels = file["images"][:100], file["labels"][:100]
        images = ((pixels.astype("float32") / 255 - file["mean"]) / file["std"]).reshape(-1, 1, 28, 28)
    with paddle.no_grad():
        right = network(paddle.to_tensor(images)).numpy().argmax(1) == labels
    assert right.mean() >= 0.92  # 95.6 % of all 2,000


@pytest.mark.parametrize("width", [8, 32, 40])
@pytest.mark.parametrize("converted", [False, True])
def test_a_checkpoint_of_any_width_is_recognised(tmp_path, width, converted):
    network = resnet18_small(7, in_channels=2, width=width)
    if converted:
        network = spconvify.convert(network, input_shape=(1, 2, 28, 28))
    path = spconvify.save(network, tmp_path / "w.pdparams")
    found = zoo.identify({key: tuple(tensor.shape) for key, tensor in network.state_dict().items()})
    assert found == zoo.Architecture("resnet18_small", 7, 2, width=width)
    loaded, x = spconvify.load(path), paddle.rand([1, 2, 28, 28])
    network.eval()
    loaded.eval()
    np.testing.assert_array_equal(loaded(x).numpy(), network(x).numpy())


@pytest.mark.parametrize("width", [16, 64])
@pytest.mark.parametrize("kept", [0.25, 0.625, "mixed"])
def test_a_narrowed_checkpoint_of_any_width_is_recognised(tmp_path, width, kept):
    network = resnet18_small(7, in_channels=2, width=width)
    changes = []
    for stage, block in [(stage, block) for stage in (1, 2, 3, 4) for block in (0, 1)]:
        name = f"layer{stage}.{block}"
        share = (0.25, 0.5, 0.375, 0.75)[(stage + block) % 4] if kept == "mixed" else kept
        channels = range(round(share * width * 2 ** (stage - 1)))
        changes.append(Narrow(f"{name}.conv1", f"{name}.conv2", tuple(channels), (f"{name}.bn1",)))
        if kept == "mixed" and block:
            changes.append(Replace(f"{name}.conv2", SPConvSettings(0.5, 1)))
    slim = spconvify.convert(network, plan=Plan(changes), input_shape=(1, 2, 28, 28))
    path = spconvify.save(slim, tmp_path / "w.pdparams")
    found = zoo.identify({key: tuple(tensor.shape) for key, tensor in slim.state_dict().items()})
    assert (found.name, found.num_classes, found.in_channels) == ("resnet18_small", 7, 2)
    assert (found.width, found.narrowed) == (width, True)
    loaded, x = spconvify.load(path), paddle.rand([1, 2, 28, 28])
    slim.eval()
    loaded.eval()
    np.testing.assert_array_equal(loaded(x).numpy(), slim(x).numpy())


def test_widths_that_do_not_fit_together_are_none():
    shapes = {key: tuple(value.shape) for key, value in resnet18_small().state_dict().items()}
    shapes["layer3.0.bn1._mean"] = (120,)
    with pytest.raises(CheckpointError, match=r"'layer3\.0\.bn1\._mean' is 120 instead of 128"):
        zoo.identify(shapes)


def test_by_its_name_it_has_the_usual_width():
    found = zoo.find("resnet18_small")
    assert found.input_shape == (1, 1, 28, 28)
    assert found.build().conv1.weight.shape == [32, 1, 3, 3]


def test_a_resnet18_with_another_stem_may_be_something_else():
    network = paddle.vision.models.resnet18()
    network.conv1 = paddle.nn.Conv2D(3, 64, 3, stride=2, padding=1, bias_attr=False)
    found = zoo.identify({key: tuple(value.shape) for key, value in network.state_dict().items()})
    assert found.name == "resnet18_small"
    assert found.ambiguous_with == ("a resnet18 that got a 3x3 stem",)
