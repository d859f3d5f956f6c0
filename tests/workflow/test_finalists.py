"""Which of several fitted networks is kept."""

import numpy as np
import paddle
import pytest
from calibration_networks import images
from paddle import nn

from spconvify.calibration.images import CalibrationImages
from spconvify.network.copying import copied
from spconvify.search import refinement
from spconvify.workflow import finalists
from spconvify.workflow.finalists import Finalist, nearest


@pytest.fixture(scope="module")
def calibration():
    return CalibrationImages([images(32, 3, 8)])


@pytest.fixture(scope="module")
def original():
    paddle.seed(0)
    network = nn.Sequential(nn.Conv2D(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))
    network.eval()
    return network


def disturbed(network, by, seed):
    """A copy with noise in its convolution's weights."""
    random, new = np.random.default_rng(seed), copied(network)
    weight = new[0].weight
    weight.set_value(weight.numpy() + random.normal(0, by, weight.shape).astype("float32"))
    return new


def test_distance_and_quick_distance_count(original, calibration):
    networks = [disturbed(original, by, 1) for by in (0.3, 0.1, 0.2)]
    found = [Finalist(network, 1.0) for network in networks]
    args = (calibration, 1000, False, 0, print)
    assert nearest(original, found, *args) == 1
    assert nearest(original, [found[0], Finalist(networks[1], 1e3), found[2]], *args) == 2
    assert nearest(original, found[:1], *args) == 0


def test_what_refines_better_wins(original, calibration, monkeypatch):
    worse, better = disturbed(original, 0.1, 1), disturbed(original, 0.1, 1)
    better[0].weight.set_value(better[0].weight * 1.02)  # a little farther off, but it can be trained
    worse[0].weight.stop_gradient = worse[3].weight.stop_gradient = worse[3].bias.stop_gradient = True
    worse[0].bias.stop_gradient = True
    monkeypatch.setattr(refinement, "NEAR", 0.0)
    monkeypatch.setattr("spconvify.workflow.refining.NEAR", 0.0)
    found = [Finalist(worse, 1.0), Finalist(better, 1.0)]
    assert nearest(original, found, calibration, 1000, False, 0, print) == 0
    before = better[0].weight.numpy()
    assert nearest(original, found, calibration, 1000, None, 0, lambda *_: None) == 1
    assert not np.array_equal(better[0].weight.numpy(), before)


def test_those_that_are_far_behind_are_not_refined(original, calibration, monkeypatch):
    refined = []

    def refine(_, network, *rest, **options):
        refined.append(network)
        return 1.0, 1.0

    monkeypatch.setattr(finalists, "refine", refine)
    near, far = disturbed(original, 0.1, 1), disturbed(original, 0.8, 2)
    close = disturbed(original, 0.1, 1)
    found = [Finalist(network, 1.0) for network in (far, near, close)]
    nearest(original, found, calibration, 1000, True, 0, lambda *_: None)
    assert refined == [near, close]
