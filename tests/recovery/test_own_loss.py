"""The loss that a caller chooses: forced, over another axis, or a function of its own."""

import contextlib

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from recovery_networks import assert_same, images, pair, weights
from test_kinds_of_output import Fixed, dense_pair, divergence, loss_of, values

from spconvify import ArgumentError, recover

STEP = {"steps": 1, "batch_size": 4}


def test_a_function_gets_what_the_networks_return():
    student, teacher = dense_pair(lambda self, maps: {"maps": maps, "labels": maps.argmax(1)})
    teacher.train()
    seen = []

    def distance(own, taught):
        seen.append((own, taught))
        return F.l1_loss(own["maps"], taught["maps"])

    losses = []
    recover(
        student, teacher, images(8), steps=12, batch_size=8, learning_rate=1e-2, loss=distance,
        progress=lambda now: losses.append(now.loss),
    )  # fmt: skip
    assert losses[-1] < 0.8 * losses[0]
    own, taught = seen[-1]
    assert own.keys() == taught.keys() == {"maps", "labels"}
    assert taught["maps"].stop_gradient
    assert losses[-1] == pytest.approx(float(F.l1_loss(own["maps"], taught["maps"])), rel=1e-5)
    assert teacher.training


def test_a_function_sees_outputs_that_are_compared_by_no_other_loss():
    """Time first, as some recognisers give it: no part of it is one image's."""
    student, teacher = dense_pair(lambda self, maps: maps.mean(2).transpose([2, 0, 1]))
    with pytest.raises(ArgumentError, match="doesn't follow the images"):
        recover(student, teacher, images(8), **STEP)
    before = weights(student)
    recover(student, teacher, images(8), **STEP, loss=F.mse_loss)
    assert any(not np.array_equal(before[key], value) for key, value in weights(student).items())


def test_features_count_beside_a_function():
    found = []
    for feature_weight in (0.0, 1.0):
        recover(
            *dense_pair(), images(8), **STEP, loss=F.mse_loss, feature_weight=feature_weight,
            progress=lambda now: found.append(now.loss),
        )  # fmt: skip
    assert found[1] > found[0]


def fails(own, taught):
    raise KeyError("no maps\nsecond line")


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (fails, r"^loss 'fails' fails: KeyError: .*no maps.*it is called with what student and teacher"),
        (
            lambda own, taught: 3.0,
            "loss '.*<lambda>' gives a float; it must give a tensor of",
        ),
        (lambda own, taught: None, "gives a NoneType; it must give a tensor"),
        (lambda own, taught: (own - taught).abs(), r"gives a tensor of shape \[4, 5, 10, 10\]; it must"),
        (
            lambda own, taught: (own.detach() - taught).mean(),
            "gives a number without a gradient; it must",
        ),
        (lambda own, taught: own.argmax(), "gives a number without a gradient"),
        (lambda own, taught: own.mean().astype("int64"), "gives int64, which nothing is learnt from"),
        (lambda own, taught: own.mean().astype("complex64"), "gives complex64, which nothing"),
        (lambda own, taught: own.mean() * float("nan"), "is nan on the first batch; it must be finite"),
        (lambda own, taught: own.mean() + float("inf"), "is inf on the first batch"),
        (paddle.nn.MSELoss, "loss 'MSELoss' (fails|gives a MSELoss)"),
    ],
)
def test_a_function_that_is_no_loss(loss, message):
    student, teacher = dense_pair()
    before = weights(student)
    with pytest.raises(ArgumentError, match=message) as caught:
        recover(student, teacher, images(8), **STEP, loss=loss)
    assert "\n" not in str(caught.value)
    assert_same(before, weights(student))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"loss": F.mse_loss, "axis": 2},
            "axis 2 acts on loss 'kl', not on one of your own; leave",
        ),
        ({"loss": "mse", "axis": 2}, "axis 2 acts on loss 'kl', not on one 'mse'; leave it out"),
        ({"loss": "mse", "temperature": 2.0}, "temperature 2 acts on loss 'kl', not on one 'mse'"),
        ({"loss": F.mse_loss, "label_weight": 1.0}, "label_weight 1 and a loss of your own contradict"),
        ({"axis": 0}, "axis 0 isn't one of classes: a whole number, and not 0"),
        ({"axis": 1.5}, "axis 1.5 isn't one of classes"),
        ({"axis": 4}, r"axis 4: the output '' is \[4, 5, 10, 10\], which has no such axis beside"),
        ({"axis": -4}, "axis -4: the output '' is"),
        ({"loss": ["kl"]}, r"loss \['kl'\] is unknown; use 'kl' or 'mse', or a function of the outputs"),
    ],
)
def test_options_that_cannot_act(options, message):
    with pytest.raises(ArgumentError, match=message):
        recover(*dense_pair(), images(8), **STEP, **options)


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -2])
def test_the_axis_of_the_classes_can_be_chosen(axis):
    taught, own = values(2, 5, 4, 3), values(2, 5, 4, 3, seed=1)
    found = loss_of(Fixed(own), Fixed(taught), (2, 3, 8, 6), axis=axis)
    assert found == pytest.approx(divergence(own, taught, 4.0, axis), rel=1e-4)


def test_the_axis_of_a_recogniser():
    taught, own = values(2, 7, 5), values(2, 7, 5, seed=1)
    found = loss_of(Fixed(own), Fixed(taught), loss="kl", axis=2)
    assert found == pytest.approx(divergence(own, taught, 4.0, 2), rel=1e-4)
    with pytest.raises(ArgumentError, match="axis 2: no output looks like scores of classes; give loss"):
        loss_of(Fixed(own), Fixed(taught), axis=2)


def cut(options, checkpoint, stop=2):
    """A run of four steps with a checkpoint after each, interrupted."""

    def watch(now):
        if now.step == stop:
            raise KeyboardInterrupt

    student, teacher = pair()
    with contextlib.suppress(KeyboardInterrupt):
        recover(
            student, teacher, images(), steps=4, batch_size=8, checkpoint=checkpoint, checkpoint_every=1,
            progress=watch, **options,
        )  # fmt: skip
    return student


def negative(own, taught):
    return -F.cosine_similarity(own, taught).mean() - 1


def absolute(own, taught, power=1):
    return (own - taught).abs().pow(power).mean()


@pytest.mark.parametrize("loss", [negative, "kl", lambda own, taught: absolute(own, taught)])
def test_an_interrupted_run_goes_on_with_its_loss(tmp_path, loss):
    cut({"loss": loss}, tmp_path / "run.safetensors")
    resumed = cut({"loss": loss}, tmp_path / "run.safetensors", stop=None)
    assert_same(weights(resumed), weights(cut({"loss": loss}, tmp_path / "whole.safetensors", None)))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({}, {"loss": "kl"}, "its loss is None and not kl"),
        ({"loss": "kl"}, {"loss": "mse"}, "its loss is kl and not mse"),
        ({"loss": "kl"}, {"loss": "kl", "axis": -1}, "its axis is None and not -1"),
        ({"loss": "kl"}, {"loss": absolute}, r"its loss is kl and not absolute \([0-9.]+\)"),
        ({"loss": absolute}, {}, r"its loss is absolute \([0-9.]+\) and not None"),
        (
            {"loss": lambda own, taught: absolute(own, taught)},
            {"loss": lambda own, taught: absolute(own, taught, 3)},
            r"its loss is .*<lambda> \([0-9.]+\) and not .*<lambda> \([0-9.]+\)",
        ),
    ],
)
def test_a_run_with_another_loss_is_another_run(tmp_path, first, second, message):
    cut(first, tmp_path / "run.safetensors")
    with pytest.raises(ArgumentError, match=f"belongs to another run: {message}"):
        cut(second, tmp_path / "run.safetensors")
