"""The small network that searches are tried on."""

import paddle
import pytest
from calibration_networks import images, settled

from spconvify.zoo.cifar import CifarResNet


@pytest.fixture(scope="module")
def batch():
    return images(32, 3, 16)


@pytest.fixture
def model(batch):
    paddle.seed(0)
    return settled(CifarResNet(8), batch)
