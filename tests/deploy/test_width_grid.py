"""Times between those that were measured: exact where they were, and growing with the channels."""

import itertools
import math

import pytest

from spconvify.deploy.width_grid import between


def cost(inputs, outputs):
    """A fixed part, one by channel of either map, and one by multiply-accumulate."""
    return 5 + inputs + 2 * outputs + inputs * outputs / 8


GRID = {pair: cost(*pair) for pair in itertools.product((8, 16, 32), (16, 64))}
# As a network with one width in and one inside has them: no (16, 32), (16, 64) ...
CROSS = {(64, 64): 80.0, (64, 32): 40.0, (64, 16): 20.0, (32, 64): 40.0, (16, 64): 20.0}


@pytest.mark.parametrize("pair", GRID)
def test_exact_where_measured(pair):
    strange = {**GRID, (16, 64): 1.0}  # smaller than its neighbours': a measurement is taken as it is
    assert between(strange, pair) == strange[pair]


@pytest.mark.parametrize("pair", [(12, 16), (8, 40), (9, 17), (31, 63), (24, 64)])
def test_right_in_between(pair):
    assert between(GRID, pair) == pytest.approx(cost(*pair))


@pytest.mark.parametrize("pair", [(4, 16), (2, 8), (64, 64), (32, 128), (100, 300)])
def test_sensible_outside(pair):
    nearest = min(GRID, key=lambda known: sum(abs(math.log(a / b)) for a, b in zip(known, pair)))
    by_macs = GRID[nearest] * pair[0] * pair[1] / (nearest[0] * nearest[1])
    low, high = sorted([by_macs, GRID[nearest]])
    assert low <= between(GRID, pair) <= high


def test_measurements_that_point_the_wrong_way_outside():
    assert between({(8, 8): 1.0, (16, 8): 4.0}, (4, 8)) == 0.5  # by the line: less than nothing
    assert between({(8, 8): 4.0, (16, 8): 3.0}, (32, 8)) == 3.0


def test_grows_with_the_channels():
    numbers = range(1, 130)
    for fixed in (4, 16, 40, 64, 100):
        for pairs in ([(n, fixed) for n in numbers], [(fixed, n) for n in numbers]):
            for times in (GRID, CROSS):
                found = [between(times, pair) for pair in pairs]
                assert found == sorted(found)
                assert found[0] > 0


def test_pairs_that_were_not_measured_together():
    assert between(CROSS, (32, 32)) == pytest.approx(20)
    assert between(CROSS, (16, 16)) == pytest.approx(5)
    assert between(CROSS, (48, 64)) == pytest.approx(60)
    assert between({(8, 8): 1.0, (16, 16): 4.0}, (8, 16)) == pytest.approx(2)


def test_a_single_one():
    assert between({(8, 16): 4.0}, (4, 8)) == pytest.approx(1.0)


def test_what_cannot_be_run_has_no_neighbours():
    for times in ({(8, 8): 1.0, (16, 8): math.inf}, {(16, 8): 1.0, (8, 8): math.inf}):
        assert between(times, (12, 8)) == math.inf
        assert sorted(between(times, pair) for pair in times) == [1.0, math.inf]
    assert between({(8, 8): math.inf}, (4, 4)) == math.inf
