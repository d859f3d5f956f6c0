"""The ResNet-18 for small images, and the weights of it that are shipped."""

from pathlib import Path

import numpy as np
import paddle
import pytest

from spconvify.checkpoint import read_state
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
