"""What a convolution misses without some of its inputs, held to plain least squares."""

import numpy as np
import pytest

from spconvify.calibration.moments import Moments
from spconvify.search.inputs_by_worth import greedy_order


def moments(channels, taps, *, common, outputs=6, rows=4000):
    """Of inputs that have `common` sources for all of their channels, so that they tell alike."""
    random = np.random.default_rng(channels)
    sources = random.normal(size=(rows, common))
    features = sources @ random.normal(size=(common, channels * taps))
    features += 0.3 * random.normal(size=features.shape)
    targets = features @ random.normal(size=(channels * taps, outputs))
    features, targets = features - features.mean(0), targets - targets.mean(0)
    zeros = np.zeros
    found = Moments(
        features.T @ features / rows,
        features.T @ targets / rows,
        np.square(targets).mean(0),
        zeros(channels * taps),
        zeros(outputs),
        rows,
        channels,
    )
    return found, features, targets


# Of many channels several are taken at once.
@pytest.mark.parametrize(("channels", "taps"), [(12, 9), (100, 1), (240, 2)])
def test_the_error_is_that_of_the_best_weights_for_these_inputs(channels, taps):
    found, features, targets = moments(channels, taps, common=8)
    order, curve = greedy_order(found, taps, np.ones(targets.shape[1]))
    assert sorted(order) == list(range(channels))
    assert curve[channels] == 0
    for count in (1, 3, channels // 4 + 1, channels // 2):
        columns = (np.array(order[:count])[:, None] * taps + np.arange(taps)).ravel()
        own = features[:, columns]
        missed = targets - own @ np.linalg.lstsq(own, targets, rcond=None)[0]
        wanted = np.square(missed).sum() / np.square(targets).sum()
        assert curve[count] == pytest.approx(wanted, rel=2e-2, abs=1e-4)


def test_channels_behind_a_norm_that_makes_nothing_of_them_are_worth_nothing():
    found, _, targets = moments(12, 1, common=8)
    gain = np.zeros(targets.shape[1])
    gain[0] = 2.0
    order, curve = greedy_order(found, 1, gain)
    alone = found.part(np.arange(12), slice(0, 1))
    assert greedy_order(alone, 1, gain[:1]) == (order, pytest.approx(curve))
