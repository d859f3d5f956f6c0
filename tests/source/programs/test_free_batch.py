"""A number of images that is written into a program isn't in the network, where it can go."""

import numpy as np
import paddle
import pytest
from exported_networks import write
from paddle import nn

import spconvify
from spconvify import ArgumentError


class Flat(nn.Layer):
    """`sizes` of the map that is flattened, for a batch of `count` images."""

    def __init__(self, *sizes):
        super().__init__()
        self.conv = nn.Conv2D(3, 8, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2D(4)
        self.linear = nn.Linear(128, 5)
        self.sizes = sizes

    def forward(self, x):
        return self.linear(self.pool(self.conv(x)).reshape(self.sizes).reshape([-1, 128]))


class Windows(nn.Layer):
    """Cuts maps into windows and puts them together again, as Swin does."""

    def __init__(self, count):
        super().__init__()
        self.conv, self.count = nn.Conv2D(3, 8, 3, padding=1), count

    def forward(self, x):
        x = self.conv(x).reshape([self.count, 8, 2, 4, 2, 4]).transpose([0, 2, 4, 3, 5, 1])
        windows = x.reshape([self.count * 4, 16, 8]) * 2
        return windows.reshape([self.count, 2, 2, 4, 4, 8]).mean([1, 2, 3, 4])


class Mixed(nn.Layer):
    """Its outputs for an image depend on the others of the batch."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3, padding=1)

    def forward(self, x):
        flat = self.conv(x).reshape([2, 256])
        return flat - flat.mean(axis=0, keepdim=True)


def images(count):
    return np.random.default_rng(0).standard_normal((count, 3, 8, 8)).astype("float32")


def exported(network, folder, count):
    network.eval()
    return write(network, folder / "net", (count, 3, 8, 8))


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda: Flat(1, 128), 1),
        (lambda: Flat(3, 128), 3),
        (lambda: Flat(2, 8, -1), 2),
        (lambda: Flat(16, 16), 2),
        (lambda: Windows(1), 1),
        (lambda: Windows(2), 2),
    ],
)
def test_any_number_of_images(tmp_path, make, count):
    paddle.seed(0)
    network = make()
    loaded = spconvify.load(exported(network, tmp_path, count))
    given = images(6)
    one_by_one = [network(paddle.to_tensor(given[i : i + count])).numpy() for i in range(0, 6, count)]
    found = loaded(paddle.to_tensor(given)).numpy()
    np.testing.assert_allclose(found, np.concatenate(one_by_one), rtol=1e-5, atol=1e-6)


def test_converted_with_images_and_loaded_again(tmp_path):
    path = exported(Flat(1, 128), tmp_path, 1)
    slim = spconvify.convert(spconvify.load(path), init="lstsq", calibration=images(8))
    spconvify.save(slim, tmp_path / "slim.pdparams")
    again = spconvify.load(tmp_path / "slim.pdparams", spconvify.load(path))
    given = paddle.to_tensor(images(3))
    np.testing.assert_array_equal(again(given).numpy(), slim(given).numpy())


def test_where_images_are_mixed_it_stays(tmp_path):
    paddle.seed(0)
    network = Mixed()
    loaded = spconvify.load(exported(network, tmp_path, 2))
    given = paddle.to_tensor(images(2))
    np.testing.assert_allclose(loaded(given).numpy(), network(given).numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises((ValueError, ArgumentError)):
        loaded(paddle.to_tensor(images(4)))
