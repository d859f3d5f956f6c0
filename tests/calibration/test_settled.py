"""Outputs of settled layers, kept from pass to pass: the fit is the same to the bit, and runs less."""

from contextlib import nullcontext
from unittest import mock

import numpy as np
import paddle
import pytest
from calibration_networks import images, settled
from paddle import nn

import spconvify
from spconvify.calibration import settled as module
from spconvify.calibration.settled import SettledOutputs
from spconvify.zoo.cifar import CifarResNet


class Shared(nn.Layer):
    """A convolution that runs twice, one whose output is changed in place, and noise of its own."""

    def __init__(self):
        super().__init__()
        self.twice = nn.Conv2D(4, 4, 3, padding=1)
        self.between = nn.Conv2D(4, 4, 3, padding=1)
        self.last = nn.Conv2D(4, 4, 3, padding=1)
        self.seen = 0

    def forward(self, x):
        self.seen += 1
        x = self.between(nn.functional.relu(self.twice(x)) + 0.1 * paddle.randn(x.shape))
        x.scale_(2.0)
        return self.last(nn.functional.relu(self.twice(x))).scale_(0.5)


def networks():
    paddle.seed(0)
    yield settled(CifarResNet(8), images(count=12, channels=3, size=12)), (3, 12, 12)
    yield Shared(), (4, 8, 8)


def fitted(model, batches, fusion):
    paddle.seed(1)
    return spconvify.convert(
        model, fusion=fusion, groups=1, init="lstsq", calibration=batches, progress=False
    ).state_dict()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("which", "fusion", "most"),
    [(0, "sum", module.KEPT), (0, "gap", 30_000), (1, "sum", module.KEPT), (1, "sum", 5_000)],
)
def test_a_fit_is_the_same_to_the_bit(which, fusion, most):
    model, shape = list(networks())[which]
    model.eval()
    batches = list(np.random.default_rng(0).standard_normal((3, 4, *shape)).astype("float32"))
    with mock.patch.object(module, "KEPT", most):
        with mock.patch.object(SettledOutputs, "passing", return_value=nullcontext()):
            without = fitted(model, batches, fusion)
        found = []
        find = SettledOutputs.find
        with mock.patch.object(
            SettledOutputs, "find", lambda *given: found.append(find(*given)) or found[-1]
        ):
            kept = fitted(model, batches, fusion)
    assert any(output is not None for output in found)
    assert without.keys() == kept.keys()
    for key, value in without.items():
        np.testing.assert_array_equal(value.numpy(), kept[key].numpy(), key)


def passes(outputs, model, batches, last):
    """The results of a pass for each batch, and how often the first layer ran."""
    runs, results = [], []
    forward = nn.Conv2D.forward

    def noting(layer, x):
        runs.append(layer is model[0])
        return forward(layer, x)

    with mock.patch.object(nn.Conv2D, "forward", noting), paddle.no_grad():
        for number, batch in enumerate(batches):
            with outputs.passing(number, last):
                results.append(model(batch).numpy())
    return results, sum(runs)


def chain():
    paddle.seed(0)
    model = nn.Sequential(nn.Conv2D(2, 4, 3), nn.Conv2D(4, 8, 3), nn.Conv2D(8, 8, 3))
    return model, list(paddle.randn([2, 1, 2, 9, 9]))


def test_what_comes_before_the_fitted_layer_runs_once_for_a_batch_and_what_is_behind_it_every_time():
    model, batches = chain()
    outputs = SettledOutputs(model)
    wanted, runs = passes(outputs, model, batches, model[1])
    assert runs == 2
    model[2].weight.set_value(2 * model[2].weight)  # behind the fitted layer nothing was kept
    model[2].bias.set_value(2 * model[2].bias)
    again, runs = passes(outputs, model, batches, model[2])
    assert runs == 0
    for first, second in zip(wanted, again):
        np.testing.assert_allclose(second, 2 * first, atol=1e-6)
    assert all("forward" not in vars(layer) for layer in model)


def test_another_input_than_before_runs_as_ever():
    model, batches = chain()
    outputs = SettledOutputs(model)
    passes(outputs, model, batches, model[2])
    others = [batch + 1 for batch in batches]
    given, runs = passes(outputs, model, others, model[2])
    assert runs == 2
    for result, batch in zip(given, others):
        np.testing.assert_array_equal(result, model(batch).numpy())


def test_where_there_is_no_room_the_dear_layers_are_kept():
    model, batches = chain()
    second = 2 * 8 * 5 * 5 * 4  # bytes of both batches' outputs
    outputs = SettledOutputs(model, most=second)
    _, runs = passes(outputs, model, batches, model[2])
    assert runs == 2
    assert outputs._used == second
    _, runs = passes(outputs, model, batches, model[2])
    assert runs == 2
    assert list(outputs._kept) == [id(model[1])]


def test_the_layer_that_is_fitted_need_not_run():
    model, batches = chain()
    outputs = SettledOutputs(model)
    model[1].out_channels, model[1].data_format = 8, "NCHW"  # as a replacement has them
    runs, forward = [], nn.Conv2D.forward
    with mock.patch.object(nn.Conv2D, "forward", lambda me, x: runs.append(me) or forward(me, x)):
        with outputs.passing(0, model[1], (1, 5, 5)):
            given = model(batches[0])
    assert runs == [model[0], model[2]]
    np.testing.assert_array_equal(given.numpy(), model[2](paddle.zeros([1, 8, 5, 5])).numpy())


def test_nothing_behind_a_layer_that_is_still_to_fit_is_kept():
    model, batches = chain()
    other = nn.Conv2D(2, 2, 1)  # the fitted layer isn't reached
    outputs = SettledOutputs(model, [model[0]])
    passes(outputs, model, batches, other)
    assert not outputs._kept
    outputs.settle(model[0])
    passes(outputs, model, batches, other)
    assert set(outputs._kept) == {id(layer) for layer in model}
