"""How far networks are apart: of every kind of output, and without a trace on them."""

import numpy as np
import paddle
import pytest
from calibration_networks import images
from paddle import nn

import spconvify
from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError
from spconvify.network.copying import copied
from spconvify.search import search as searching
from spconvify.search.judge import Judge
from spconvify.search.refinement import refine


class Network(nn.Layer):
    """Counts its own runs, and gives what a test wants."""

    def __init__(self, ending):
        super().__init__()
        self.first = nn.Conv2D(3, 16, 3, padding=1)
        self.second = nn.Conv2D(16, 16, 3, padding=1)
        self.head = nn.Conv2D(16, 5, 1)
        self.register_buffer("seen", paddle.zeros([1]))
        self.ending = ending

    def forward(self, x):
        self.seen += x.shape[0]
        maps = self.head(nn.functional.relu(self.second(nn.functional.relu(self.first(x)))))
        return self.ending(maps)


def scores(maps):
    return maps.mean(axis=[2, 3])


def masked(maps):
    """The last class can't be."""
    found = scores(maps)
    return paddle.concat([found[:, :4], paddle.full_like(found[:, :1], -np.inf)], 1)


ENDINGS = {
    "scores": scores,
    "masked": masked,
    "classes": lambda maps: maps.argmax(1),
    "classes of 32 bits": lambda maps: maps.argmax(1).astype("int32"),
    "maps": lambda maps: maps,
}


@pytest.fixture(scope="module")
def batch():
    return images(32, 3, 8)


@pytest.fixture(params=ENDINGS)
def network(request):
    paddle.seed(0)
    made = Network(ENDINGS[request.param])
    made.eval()
    return made


def disturbed(network, by):
    new = copied(network)
    random = np.random.default_rng(0)
    weight = new.second.weight
    weight.set_value(weight.numpy() + random.normal(0, by, weight.shape).astype("float32"))
    return new


def test_nearer_networks_have_smaller_distances(network, batch):
    judge = Judge(network, CalibrationImages([batch]))
    found = [judge.distance(disturbed(network, by)) for by in (0.01, 0.1, 0.5)]
    assert judge.distance(copied(network)) == 0
    assert 0 <= found[0] < found[1] < found[2] < np.inf


def test_an_output_that_is_no_number_any_more_is_infinitely_far(batch):
    paddle.seed(0)
    network = Network(scores)
    broken = copied(network)
    broken.head.weight.set_value(broken.head.weight * float("nan"))
    assert Judge(network, CalibrationImages([batch])).distance(broken) == np.inf


@pytest.mark.parametrize(
    "ending", [lambda maps: maps[:, :0], lambda maps: maps * float("nan"), lambda maps: maps.shape]
)
def test_what_cannot_be_compared_is_refused(ending, batch):
    network = Network(ending)
    with pytest.raises(ArgumentError, match="has none that could be"):
        Judge(network, CalibrationImages([batch])).distance(copied(network))


def test_no_trace_is_left(batch):
    paddle.seed(0)
    network = Network(scores)
    other = disturbed(network, 0.1)
    pictures = CalibrationImages([batch])
    judge = Judge(network, pictures)
    judge.distance(other)
    refine(network, other, pictures, judge, steps=3)
    assert network.seen.item() == other.seen.item() == 0


def test_a_search_leaves_no_trace(batch, monkeypatch):
    monkeypatch.setattr(searching, "TRIES", 1)
    paddle.seed(0)
    network = Network(scores)
    network.seen += 7
    options = {"calibration": [batch], "refine": False, "progress": False}
    slimmed = spconvify.slim(network, target_macs=0.6, **options)
    assert network.seen.item() == slimmed.network.seen.item() == 7
    spconvify.frontier(network, (0.6,), **options)
    assert network.seen.item() == 7
