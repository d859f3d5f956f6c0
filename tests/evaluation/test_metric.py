"""The user's own metric: what it may give, and what it may not do."""

from __future__ import annotations

import warnings

import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.metric import Metric, MetricWarning, is_metric


def network():
    return nn.Sequential(nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4), nn.Dropout(0.5))


def figures(function, model=None):
    return Metric.of(function).of_network(model or network(), "the original")


def test_a_number_is_called_like_the_function():
    def miou(model):
        assert not model.training
        assert not paddle.is_grad_enabled()
        return 0.5

    model = network()
    model[1].eval()
    assert figures(miou, model) == {"miou": 0.5}
    assert [layer.training for layer in model] == [True, False, True]  # as they were


@pytest.mark.parametrize("number", [3, np.float32(3), np.array([3.0]), paddle.to_tensor(3.0)])
def test_what_is_a_number(number):
    assert figures(lambda model: {"a": number, "b": -1}) == {"a": 3.0, "b": -1.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "metric 'metric' gives NoneType for 'metric'; return a number"),
        ("0.5", "gives str"),
        (True, "gives bool"),
        ([0.5, 0.6], "gives list"),
        (np.zeros(2), "gives ndarray"),
        (float("nan"), "gives nan for 'metric', which isn't finite"),
        ({"mIoU": float("inf")}, "gives inf for 'mIoU'"),
        ({"pixels": 10**400}, "gives a number for 'pixels' that is too large for a float"),
        ({}, "gives no number"),
        ({1: 0.5}, "gives a number called 1"),
        ({" ": 0.5}, "gives a number called"),
    ],
)
def test_what_is_none(given, message):
    def metric(model):
        return given

    with pytest.raises(ArgumentError, match=message):
        figures(metric)


@pytest.mark.parametrize("error", [ZeroDivisionError("division\nby zero"), SystemExit(2)])
def test_an_error_names_the_metric_and_the_network(error):
    def metric(model):
        raise error

    text = r"metric 'metric' failed on the original: (ZeroDivisionError: division$|SystemExit: 2$)"
    with pytest.raises(ArgumentError, match=text) as raised:
        figures(metric)
    assert raised.value.__cause__ is error


def test_weights_and_statistics_have_to_stay():
    def tunes(model):
        model[0].weight.set_value(model[0].weight * 2)
        return 1

    def trains(model):
        model.train()
        model(paddle.ones([2, 3, 5, 5]))
        model.eval()
        return 1

    with pytest.raises(
        ArgumentError, match=r"metric 'tunes' changes the original: '0\.weight'; a metric"
    ):
        figures(tunes)
    model = network()
    with pytest.raises(ArgumentError, match=r"metric 'trains' changes the original: '1\._mean'"):
        figures(trains, model)
    assert float(model[1]._mean.abs().sum()) == 0.0  # it is put back


def test_training_mode_is_noticed_and_undone():
    model = network()
    model.eval()
    with pytest.warns(MetricWarning, match="metric 'trains' left the original in training mode"):
        assert figures(trains, model) == {"trains": 1.0}
    assert not any(layer.training for layer in model)


def trains(model):
    model.train()
    return 1


def test_a_run_leaves_no_trace():
    def counts(model):
        model.calls = getattr(model, "calls", 0) + 1
        return model.calls

    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert figures(counts, model) == figures(counts, model) == {"counts": 1.0}


def test_what_is_a_metric():
    loader = paddle.io.DataLoader(paddle.io.TensorDataset([paddle.zeros([2, 3])]), batch_size=1)
    assert is_metric(trains)
    assert not any(map(is_metric, (None, loader, network(), (1, 2))))
