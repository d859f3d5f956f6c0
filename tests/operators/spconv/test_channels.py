"""Choice of the representative channels: exact gains, a search that never loses, the right answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spconvify.calibration.moments import Geometry, MomentsAccumulator, Positions, feature_rows
from spconvify.operators.spconv import channels
from spconvify.operators.spconv.channels import choose_channels, reduce_problem
from spconvify.operators.spconv.exchange import GroupSelection
from spconvify.operators.spconv.solve import fit_split


def moments(channels=8, outputs=8, stride=1, seed=0, kernel=None):
    random = np.random.default_rng(seed)
    mix = random.standard_normal((channels, channels))
    x = np.maximum(random.standard_normal((4, 12, 12, channels)) @ mix, 0).astype("float32")
    if kernel is None:
        kernel = random.standard_normal((9, channels, outputs))
    border = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    size = Geometry(stride).out_size(12)
    target = sum(
        border[:, t // 3 :: stride, t % 3 :: stride][:, :size, :size] @ kernel[t] for t in range(9)
    )
    accumulator = MomentsAccumulator(channels)
    where = Positions().choose(4, size, size, 0)
    accumulator.add(
        feature_rows(x, Geometry(stride), where), target.reshape(-1, outputs).astype("float32")
    )
    return accumulator.result()


def selection(problem, group, chosen):
    result = GroupSelection(problem.gram, problem.cross[group], problem.taps)
    result.chosen = list(chosen)
    result.refresh()
    return result


@pytest.mark.parametrize("stride", [1, 2])
def test_every_exchange_gain_is_what_the_exchange_gives(stride):
    problem = reduce_problem(moments(stride=stride), 2)
    group = selection(problem, 0, [0, 3, 5])
    for position, channel in itertools.product(range(3), [1, 2, 4, 6, 7]):
        chosen = list(group.chosen)
        chosen[position] = channel
        change = selection(problem, 0, chosen).explained - group.explained
        assert group.exchange_gains[position, channel] == pytest.approx(change, rel=1e-6, abs=1e-9)
    assert np.isneginf(group.exchange_gains[:, [0, 3, 5]]).all()


def test_every_addition_gain_is_what_the_addition_gives():
    problem = reduce_problem(moments(), 2)
    group = GroupSelection(problem.gram, problem.cross[0], problem.taps)
    chosen = []
    for channel in (2, 7, 4):
        gains = group.addition_gains()
        before = selection(problem, 0, chosen).explained if chosen else 0.0
        group.add([channel])
        chosen.append(channel)
        assert gains[channel] == pytest.approx(
            selection(problem, 0, chosen).explained - before, rel=1e-6
        )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("groups", "per_group"), [(1, 1), (1, 4), (2, 2), (2, 3), (4, 1)])
def test_the_search_never_loses_and_says_what_the_fit_says(stride, groups, per_group):
    data, geometry = moments(stride=stride), Geometry(stride)
    problem = reduce_problem(data, groups)
    greedy = choose_channels(problem, per_group, proposals=0)
    errors = [fit_split(data, geometry, greedy).error]
    for proposals in (1, 300):
        chosen = choose_channels(problem, per_group, proposals)
        assert len({c for group in chosen for c in group}) == groups * per_group
        errors.append(fit_split(data, geometry, chosen).error)
    assert errors[0] >= errors[1] - 1e-9
    assert errors[1] >= errors[2] - 1e-9
    first = [list(range(k * per_group, (k + 1) * per_group)) for k in range(groups)]
    assert errors[2] < fit_split(data, geometry, first).error


def test_finds_the_best_split_of_all_where_they_can_be_counted():
    data, best = moments(channels=6, outputs=4), np.inf
    for first in itertools.combinations(range(6), 2):
        for second in itertools.combinations(sorted(set(range(6)) - set(first)), 2):
            best = min(best, fit_split(data, Geometry(), [first, second]).error)
    found = fit_split(data, Geometry(), choose_channels(reduce_problem(data, 2), 2)).error
    assert found <= best + 0.01


def test_finds_the_channels_that_have_a_3x3():
    kernel = np.zeros((9, 8, 8))
    kernel[4] = np.random.default_rng(1).standard_normal((8, 8))
    random = np.random.default_rng(2)
    kernel[:, [6, 1], :4] = random.standard_normal((9, 2, 4))
    kernel[:, [3, 4], 4:] = random.standard_normal((9, 2, 4))
    chosen = choose_channels(reduce_problem(moments(kernel=kernel), 2), 2)
    assert [sorted(group) for group in chosen] == [[1, 6], [3, 4]]


def test_the_gain_gives_channels_to_the_outputs_that_count():
    gain, errors = np.array([1.0] * 4 + [0.01] * 4), np.zeros(2)
    for seed in range(4):
        data = moments(seed=seed)
        for index, weight in enumerate((None, gain)):
            chosen = choose_channels(reduce_problem(data, 2, weight), 2)
            errors[index] += fit_split(data, Geometry(), chosen, gain=gain).error
    assert errors[1] < errors[0] - 0.001


def test_the_search_ends_where_a_round_brings_little_and_loses_little_by_that(monkeypatch):
    problem = reduce_problem(moments(channels=40, outputs=8), 2)
    carry_out, rounds, explained = channels._carry_out, [], []

    def counted(*moves):
        rounds[-1] += 1
        carry_out(*moves)

    monkeypatch.setattr(channels, "_carry_out", counted)
    for settled in (-1.0, channels._SETTLED, 0.05):
        monkeypatch.setattr(channels, "_SETTLED", settled)
        rounds.append(0)
        chosen = choose_channels(problem, 10)
        explained.append(sum(selection(problem, k, chosen[k]).explained for k in range(2)))
    assert 0 < rounds[2] < rounds[0]
    assert explained[1] >= 0.995 * explained[0]
    assert explained[2] >= 0.9 * explained[0]


def test_choosing_is_deterministic():
    problem = reduce_problem(moments(channels=16, outputs=16), 2)
    assert choose_channels(problem, 4) == choose_channels(problem, 4)


def test_several_moves_at_once_still_never_lose():
    data = moments(channels=40, outputs=8)
    problem = reduce_problem(data, 2)
    errors = [fit_split(data, Geometry(), choose_channels(problem, 16, n)).error for n in (0, 2, 300)]
    assert errors == sorted(errors, reverse=True)


def test_several_channels_at_once_are_what_they_are_one_after_the_other():
    problem = reduce_problem(moments(), 2)
    one, several = (GroupSelection(problem.gram, problem.cross[0], problem.taps) for _ in range(2))
    for channel in (2, 7, 4):
        one.add([channel])
    several.add([2])
    several.add([7, 4])
    assert several.chosen == one.chosen
    np.testing.assert_allclose(several.addition_gains(), one.addition_gains(), rtol=1e-8)


def test_a_selection_of_several_at_once_is_complete_and_hardly_worse(monkeypatch):
    problem = reduce_problem(moments(channels=24), 2)
    found = []
    for steps in (channels.AT_LEAST_STEPS, 2):
        monkeypatch.setattr(channels, "AT_LEAST_STEPS", steps)
        split = choose_channels(problem, 6)
        assert [len(group) for group in split] == [6, 6]
        assert len({channel for group in split for channel in group}) == 12
        found.append(sum(selection(problem, k, split[k]).explained for k in range(2)))
    assert found[1] > 0.98 * found[0]
