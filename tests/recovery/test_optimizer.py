"""AdamW under the student's own names: what it keeps, and takes back."""

import numpy as np
import paddle
import pytest

from spconvify import ArgumentError
from spconvify.recovery.optimizer import PARTS, Optimizer
from spconvify.recovery.recipe import Recipe


class Two(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.a, self.b = paddle.nn.Linear(2, 2), paddle.nn.Linear(2, 2)


def step(network, optimizer, *layers):
    sum(layer(paddle.ones([1, 2])).square().sum() for layer in layers).backward()
    optimizer.step(0.1)
    optimizer.clear()


def test_it_moves_weights_as_paddles_own_does():
    paddle.seed(1)
    ours = Two()
    theirs = Two()
    theirs.set_state_dict(ours.state_dict())
    recipe = Recipe(weight_decay=0.1)
    optimizer = Optimizer(ours, recipe)
    clip = paddle.nn.ClipGradByGlobalNorm(recipe.clip_norm)
    plain = paddle.optimizer.AdamW(0.1, parameters=theirs.parameters(), weight_decay=0.1, grad_clip=clip)
    names = [parameter.name for parameter in ours.parameters()]
    for _ in range(3):
        step(ours, optimizer, ours.a, ours.b)
        (
            theirs.a(paddle.ones([1, 2])).square().sum() + theirs.b(paddle.ones([1, 2])).square().sum()
        ).backward()
        plain.step()
        plain.clear_grad()
    for key, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), theirs.state_dict()[key].numpy(), err_msg=key)
    assert [parameter.name for parameter in ours.parameters()] == names


def test_its_state_goes_by_the_networks_names_and_comes_back():
    network = Two()
    optimizer = Optimizer(network, Recipe())
    assert optimizer.state() == {}
    step(network, optimizer, network.a)
    state = optimizer.state()
    assert state.keys() == {f"a.{key}|{part}" for key in ("weight", "bias") for part in PARTS}
    step(network, optimizer, network.b)
    state = optimizer.state()
    again = Optimizer(network, Recipe())
    again.set_state(state)
    for _ in range(2):
        found = again.state()
        assert found.keys() == state.keys()
        for key in state:
            if key.startswith("b."):  # which has no gradient here, and keeps what it had
                np.testing.assert_array_equal(found[key], state[key], err_msg=key)
        step(network, again, network.a)


def test_parameters_of_the_same_name_have_moments_of_their_own():
    network = Two()
    for own, other in zip(network.a.parameters(), network.b.parameters()):
        own.name = other.name
    optimizer = Optimizer(network, Recipe())
    before = network.b.weight.numpy()
    step(network, optimizer, network.a)
    step(network, optimizer, network.a, network.b)
    assert len(optimizer.state()) == 4 * len(PARTS)
    assert np.abs(network.b.weight.numpy() - before).max() == pytest.approx(0.1, rel=0.2)  # a first step


def test_a_frozen_network_is_refused():
    network = Two()
    for parameter in network.parameters():
        parameter.stop_gradient = True
    with pytest.raises(ArgumentError, match="no trainable parameter"):
        Optimizer(network, Recipe())
