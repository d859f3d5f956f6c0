"""The numbers of a recovery: their limits, and the learning rate's course."""

import math

import pytest

from spconvify import ArgumentError
from spconvify.recovery.recipe import Recipe


def test_the_rate_rises_in_a_line_and_falls_as_half_a_cosine():
    recipe = Recipe(steps=100, learning_rate=2.0, warmup=0.1)
    rates = [recipe.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert rates[10] == max(rates) == 2.0
    assert rates[55] == pytest.approx(1.0)
    assert rates[99] == pytest.approx(1.0 + math.cos(math.pi * 89 / 90))
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_single_step_has_the_full_rate():
    assert Recipe(steps=1, learning_rate=0.5).rate(0) == 0.5


def test_accuracies_and_checkpoints_are_due_at_the_end_too():
    recipe = Recipe(steps=101)
    assert [step for step in range(1, 102) if recipe.evaluates(step, None)] == [20, 40, 60, 80, 100, 101]
    assert [step for step in range(1, 102) if recipe.saves(step, 50)] == [50, 100, 101]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"steps": 0}, "steps 0 is less than 1"),
        ({"batch_size": -1}, "batch_size -1 is less than 1"),
        ({"learning_rate": 0.0}, "learning_rate 0 isn't a positive number"),
        ({"temperature": math.nan}, "temperature nan isn't a positive number"),
        ({"temperature": 1e9}, r"temperature 1e\+09 isn't between 0\.01 and 100"),
        ({"temperature": 1e-9}, r"temperature 1e-09 isn't between"),
        ({"seed": -1}, "seed -1 is less than 0"),
        ({"seed": 2**32}, "seed 4294967296 is more than 4294967295"),
        ({"seed": 1.5}, "seed 1.5 isn't a whole number"),
        ({"steps": "600"}, "steps '600' isn't a whole number"),
        ({"batch_size": 8.0}, "batch_size 8.0 isn't a whole number"),
        ({"learning_rate": "0.1"}, "learning_rate '0.1' isn't a number"),
        ({"weight_decay": None}, "weight_decay None isn't a number"),
        ({"feature_weight": -1.0}, "feature_weight -1 is negative"),
        ({"warmup": 1.0}, "warmup 1 isn't a share of the steps"),
    ],
)
def test_numbers_that_cannot_be(numbers, message):
    with pytest.raises(ArgumentError, match=message):
        Recipe(**numbers).check()
