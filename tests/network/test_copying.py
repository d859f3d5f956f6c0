"""A copy that shares what it shouldn't is found before anybody relies on it."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

import spconvify
from spconvify import ConversionError


class Collects(nn.Layer):
    """A hook whose closure holds the network collects a map."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
        self.act, self.head, self.maps = nn.ReLU(), nn.Conv2D(8, 4, 1), {}
        self.act.register_forward_post_hook(lambda layer, given, y: self.maps.__setitem__("y", y))
        self.eval()

    def forward(self, x):
        self.act(self.b(F.relu(self.a(x))))
        return self.head(self.maps["y"])


class Empties(Collects):
    """The copy finds nothing where its forward looks: what it raises isn't the network's fault."""

    def forward(self, x):
        self.maps.clear()
        return super().forward(x)


class Lambda(nn.Layer):
    """A function over the network itself."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
        self.scale = self.create_parameter([1])
        self.block = lambda x: self.b(F.relu(self.a(x))) * self.maps["y"]
        self.maps = {"y": 1.0}
        self.eval()

    def forward(self, x):
        self.maps["y"] = self.maps["y"] + x.mean()
        y = self.block(x)
        self.maps["y"] = 1.0
        return y


IMAGES = np.random.default_rng(0).standard_normal((8, 3, 16, 16)).astype("float32")
CALLS = {
    "convert": lambda model: spconvify.convert(model),
    "lstsq": lambda model: spconvify.convert(model, init="lstsq", calibration=[IMAGES], inplace=True),
    "fuse": lambda model: spconvify.fuse(model),
    "slim": lambda model: spconvify.slim(model, calibration=[IMAGES], progress=False),
}


@pytest.mark.parametrize("kind", [Collects, Empties, Lambda])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_copy_that_reads_or_writes_the_original_is_refused(kind, call):
    model = kind()
    x = paddle.to_tensor(IMAGES)
    expected = model(x).numpy()
    kept = {name: np.array(value) for name, value in model.maps.items()}
    with pytest.raises(ConversionError, match=r"computes something else.*inplace=True"):
        call(model)
    assert {name: np.array_equal(model.maps[name], value) for name, value in kept.items()} == {"y": True}
    np.testing.assert_array_equal(model(x).numpy(), expected)


def test_in_place_it_can_be_done():
    model = Collects()
    model(paddle.to_tensor(IMAGES))
    slim = spconvify.convert(model, inplace=True)
    assert type(slim.b).__name__ == "SPConv2D"
    first, second = (slim(paddle.randn([1, 3, 16, 16])).numpy() for _ in range(2))
    assert np.abs(first - second).max() > 0


class Counts(nn.Layer):
    """Beside its map, how many numbers of it are large: an integer without an axis."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
        self.eval()

    def forward(self, x):
        y = self.b(F.relu(self.a(x)))
        return {"map": y, "count": (y > 0.5).astype("int32").sum()}


def test_a_whole_number_without_an_axis_is_compared():
    assert (
        spconvify.fuse(Counts(), input_shape=IMAGES.shape)(paddle.to_tensor(IMAGES))["count"].ndim == 0
    )
