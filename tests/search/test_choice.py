"""The choice within a budget: as good as trying everything, and what it costs is what it says."""

import itertools

import numpy as np
import paddle
import pytest
from paddle import nn

import spconvify
from spconvify.network.inputs import Inputs
from spconvify.operators import registry
from spconvify.search.choice import Problem
from spconvify.search.costs import MacCosts, states
from spconvify.search.options import options
from spconvify.search.plans import plan_for
from spconvify.search.starts import UNIFORM, cost_of, uniform
from spconvify.search.structure import Structure, counts
from spconvify.surgery.apply import apply_plan
from spconvify.zoo.cifar import CifarResNet


class Plain(nn.Layer):
    """A chain of three, and one beside it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(3, 8, 3, padding=1)
        self.second = nn.Conv2D(8, 6, 3, padding=1)
        self.third = nn.Conv2D(6, 4, 3, padding=1)
        self.beside = nn.Conv2D(3, 4, 1)

    def forward(self, x):
        y = nn.functional.relu(self.second(nn.functional.relu(self.first(x))))
        return self.third(y) + self.beside(x)


def problem_of(model, shape, seed=0, **allowed):
    structure = Structure.of(model, Inputs.of(shape), **allowed)
    costs = MacCosts(structure, spconvify.cost(model, shape).macs)
    random, damages = np.random.default_rng(seed), []
    for chain in structure.chains:
        own = []
        for index, slot in enumerate(chain.slots):
            before, after = states(chain, index)
            sizes = (len(before), len(after), len(options(slot)))
            narrow = np.linspace(0, 1, sizes[0])[:, None, None] ** 2 * random.uniform(0.5, 2)
            replaced = np.concatenate([[0], random.uniform(0, 1, sizes[2] - 1)])
            own.append(np.broadcast_to(narrow + replaced, sizes).copy())
        damages.append(own)
    return structure, costs, Problem.of(structure, costs, damages)


def every_choice(problem):
    for places in itertools.product(*(list(chain_choices(p)) for p in problem.costs)):
        yield list(places)


def chain_choices(costs):
    def go(index, state):
        if index == len(costs):
            yield []
            return
        for after in range(costs[index].shape[1]):
            for option in range(costs[index].shape[2]):
                if np.isfinite(costs[index][state, after, option]):
                    for rest in go(index + 1, after):
                        yield [(state, after, option), *rest]

    yield from go(0, 0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_nothing_that_costs_as_little_does_less_damage_by_much(seed, share):
    structure, costs, problem = problem_of(Plain(), (1, 3, 8, 8), seed)
    budget = share * costs.dense(structure)
    found = problem.choose(budget)
    assert cost_of(found, structure, problem) <= budget

    def damage(places):
        return sum(
            table[place]
            for tables, chosen in zip(problem.damages, places)
            for table, place in zip(tables, chosen)
        )

    best = min(damage(places) for places in every_choice(problem) if problem.cost(places) <= budget)
    own = min(
        damage(places) for places in every_choice(problem) if problem._choice(places).key == found.key
    )
    assert own <= best + 0.25


def test_a_budget_below_the_least_has_no_choice():
    structure, _, problem = problem_of(Plain(), (1, 3, 8, 8))
    assert problem.choose(problem.least * 0.99) is None
    found = problem.choose(problem.least * (1 + 1e-9))
    assert cost_of(found, structure, problem) == pytest.approx(problem.least)


def test_with_room_enough_nothing_is_changed():
    structure, costs, problem = problem_of(Plain(), (1, 3, 8, 8))
    found = problem.choose(costs.dense(structure))
    assert not plan_for(found, structure, {}).changes


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_choice_costs_what_the_network_of_its_plan_costs(share):
    paddle.seed(0)
    model, shape = CifarResNet(8), (1, 3, 16, 16)
    structure, costs, problem = problem_of(model, shape)
    orders = {name: list(range(slot.channels[0])) for name, slot in structure.slots.items()}
    chosen = [problem.choose(share * costs.dense(structure))]
    chosen += [uniform(structure, problem, share * costs.dense(structure), kind) for kind in UNIFORM]
    chosen = [choice for choice in chosen if choice is not None]
    assert len(chosen) >= 2
    for choice in chosen:
        # As it will be fitted: with an intercept, which is one more addition.
        plan = plan_for(choice, structure, orders).with_settings(
            lambda _, settings: registry.of_settings(settings).with_room(settings)
        )
        new = apply_plan(model, plan, input_shape=shape)
        cost = spconvify.cost(new, shape)
        # BatchNorms between are narrower too, which no choice counts.
        assert cost.macs == pytest.approx(cost_of(choice, structure, problem), rel=0.03)


def test_what_is_not_allowed_is_not_chosen():
    model = CifarResNet(8)
    pruned = Structure.of(model, Inputs.of((1, 3, 16, 16)), spconv=False)
    assert pruned.widths
    assert not any(slot.replaceable for slot in pruned.slots.values())
    replaced = Structure.of(model, Inputs.of((1, 3, 16, 16)), prune=False)
    assert not replaced.widths
    assert all(len(chain.slots) == 1 for chain in replaced.chains)


def test_counts_suit_the_lanes_of_a_processor():
    assert counts(64)[0] == 64
    assert all(count % 8 == 0 for count in counts(64))
    assert all(count % 16 == 0 for count in counts(512))
    assert min(counts(3)) >= 1
    assert counts(64) == sorted(set(counts(64)), reverse=True)
