"""What a student learns from networks of every kind of output, and what is refused."""

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn
from recovery_networks import images, pair

from spconvify import ArgumentError, convert, recover
from spconvify.evaluation.scores import AccuracyWarning
from spconvify.recovery.distillation import Distillation, distilling
from spconvify.recovery.evaluation import Evaluation
from spconvify.recovery.matching import check_outputs, match_outputs
from spconvify.recovery.processes import Processes
from spconvify.recovery.recipe import Recipe

STEP = {"steps": 1, "batch_size": 4}


class Fixed(nn.Layer):
    """Gives what it was made with, whatever the image is."""

    def __init__(self, *values, pack=lambda *tensors: tensors[0]):
        super().__init__()
        self.values, self._pack = nn.ParameterList(), pack
        for value in values:
            start = nn.initializer.Assign(np.asarray(value, "float32"))
            self.values.append(self.create_parameter(value.shape, default_initializer=start))

    def forward(self, x):
        return self._pack(*(value + 0 * x.mean() for value in self.values))


class Dense(nn.Layer):
    """Three convolutions; `finish` makes of their maps (N, 5, H, W) what the network gives."""

    def __init__(self, finish=lambda self, maps: maps, **formats):
        super().__init__()
        self.a, self.b = (
            nn.Conv2D(3, 8, 3, padding=1, **formats),
            nn.Conv2D(8, 8, 3, padding=1, **formats),
        )
        self.norm, self.c = nn.BatchNorm2D(8, **formats), nn.Conv2D(8, 5, 1, **formats)
        self._finish = finish

    def forward(self, x):
        return self._finish(self, self.c(F.relu(self.norm(self.b(F.relu(self.a(x)))))))


def dense_pair(finish=lambda self, maps: maps):
    teacher = Dense(finish)
    teacher.eval()
    return convert(teacher, fusion="sum"), teacher


def loss_of(student, teacher, shape=(2, 3, 4, 4), **recipe):
    x = np.zeros(shape, "float32")
    with distilling(student, teacher):
        distillation = Distillation(student, teacher, [], Recipe(steps=1, **recipe), x)
        return float(distillation(paddle.to_tensor(x))[0])


def values(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def divergence(own, taught, temperature, axis=1):
    own, taught = paddle.to_tensor(own) / temperature, paddle.to_tensor(taught) / temperature
    p, log_p, log_q = F.softmax(taught, axis), F.log_softmax(taught, axis), F.log_softmax(own, axis)
    return float((p * (log_p - log_q)).sum(axis).mean()) * temperature**2


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 8, 6), (2, 5, 1, 1)])
def test_scores_count_over_their_classes(shape):
    taught, own = values(*shape), values(*shape, seed=1)
    found = loss_of(Fixed(own), Fixed(taught), temperature=3.0)
    assert found == pytest.approx(divergence(own, taught, 3.0), rel=1e-4)


def test_a_student_that_sees_one_class_everywhere_is_far_off():
    taught = values(2, 5, 8, 8)
    own = taught.copy()
    own[:, 0] += 50
    assert loss_of(Fixed(own), Fixed(taught)) > 10


def test_logits_far_apart_give_a_finite_loss():
    taught = np.zeros((2, 5), "float32")
    own = taught.copy()
    own[:, 0] += 2000
    assert 500 < loss_of(Fixed(own), Fixed(taught)) < 16 * 500  # Paddle's logarithms end at -64


def test_the_loss_is_that_of_paddleslim():
    pytest.importorskip("paddleslim", reason="needs the extra slim")
    from paddleslim.dygraph.dist.losses.basic_loss import KLLoss

    own, taught = values(4, 6), values(4, 6, seed=1)
    tensors = [paddle.to_tensor(value) for value in (own, taught)]
    theirs = 16 * KLLoss(reduction="batchmean")(*(tensor / 4 for tensor in tensors))
    assert loss_of(Fixed(own), Fixed(taught)) == pytest.approx(float(theirs), rel=1e-5)


def test_channels_last_have_their_classes_last():
    taught, own = values(2, 8, 6, 5), values(2, 8, 6, 5, seed=1)
    teacher = Fixed(taught)
    teacher.conv = nn.Conv2D(3, 8, 3, data_format="NHWC")
    found = loss_of(Fixed(own), teacher, (2, 16, 12, 3))
    assert found == pytest.approx(divergence(own, taught, 4.0, axis=-1), rel=1e-4)


def test_channels_last_inside_alone_have_their_classes_as_the_input():
    """PaddleClas's networks turn the images around inside, and the maps back."""
    taught, own = values(2, 5, 8, 6), values(2, 5, 8, 6, seed=1)
    teacher = Fixed(taught)
    teacher.conv = nn.Conv2D(3, 8, 3, data_format="NHWC")
    found = loss_of(Fixed(own), teacher, (2, 3, 16, 12))
    assert found == pytest.approx(divergence(own, taught, 4.0), rel=1e-4)


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 8, 8), (2, 1), (2,), (2, 7, 5)])
def test_images_and_values_count_by_their_squared_distance(shape):
    taught, own = 100 * values(*shape), 100 * values(*shape, seed=1)
    expected = ((own - taught) ** 2).mean() / taught.var()
    assert loss_of(Fixed(own), Fixed(taught)) == pytest.approx(expected, rel=1e-4)


def test_an_output_that_never_changes_takes_nothing_over():
    constant = np.ones((2, 7, 5), "float32")
    for noise in (0.0, 1e-7):
        found = loss_of(Fixed(constant * 1.01), Fixed(constant + noise * values(2, 7, 5)))
        assert found < 200


@pytest.mark.parametrize(
    "pack",
    [
        lambda a, b: {"maps": a, "scores": b},
        lambda a, b: [a, b],
        lambda a, b: {"deep": [{"a": a}, (b,)]},
    ],
)
def test_every_output_has_a_term(pack):
    taught, own = (values(2, 5, 4, 4), values(2, 6)), (values(2, 5, 4, 4, seed=1), values(2, 6, seed=1))
    parts = [divergence(o, t, 4.0) for o, t in zip(own, taught)]
    for differs in ([0], [1], [0, 1]):
        mixed = [own[i] if i in differs else taught[i] for i in range(2)]
        found = loss_of(Fixed(*mixed, pack=pack), Fixed(*taught, pack=pack))
        assert found == pytest.approx(sum(parts[i] for i in differs), rel=1e-4)


def test_a_dictionary_is_matched_by_its_keys_and_not_by_their_order():
    taught = values(2, 6), values(2, 6, seed=1)
    student = Fixed(*taught, pack=lambda a, b: {"b": b, "a": a})
    assert loss_of(student, Fixed(*taught, pack=lambda a, b: {"a": a, "b": b})) == pytest.approx(
        0, abs=1e-5
    )


def test_the_loss_can_be_chosen():
    taught = values(2, 5)
    shifted = taught + 3  # the softmax doesn't see that
    assert loss_of(Fixed(shifted), Fixed(taught)) == pytest.approx(0, abs=1e-4)
    assert loss_of(Fixed(shifted), Fixed(taught), loss="mse") == pytest.approx(
        9 / taught.var(), rel=1e-4
    )
    with pytest.raises(ArgumentError, match=r"loss 'kl': the output '' is \[2, 1\], without classes"):
        loss_of(Fixed(values(2, 1)), Fixed(values(2, 1)), loss="kl")
    with pytest.raises(ArgumentError, match="loss 'l1' is unknown; use 'kl' or 'mse'"):
        recover(*pair(), images(), steps=1, loss="l1")


@pytest.mark.parametrize(
    "finish",
    [
        lambda self, maps: maps,
        lambda self, maps: {"maps": maps, "mean": maps.mean([2, 3])},
        lambda self, maps: [maps, [F.sigmoid(maps[:, :1])]],
    ],
)
@pytest.mark.parametrize("feature_weight", [0.0, 1.0])
def test_a_student_of_maps_comes_closer(finish, feature_weight):
    student, teacher = dense_pair(finish)
    losses = []
    recover(
        student, teacher, images(16), steps=30, batch_size=16, learning_rate=1e-2,
        feature_weight=feature_weight, progress=lambda now: losses.append(now.loss),
    )  # fmt: skip
    assert losses[-1] < 0.5 * losses[0]


def test_what_cannot_be_learnt_is_left_out_and_named(capsys):
    def finish(self, maps):
        boxes = maps.reshape([-1, 4])[: int(maps.sum() * 100) % 5 + 1]
        return {
            "maps": maps,
            "labels": maps.argmax(1),
            "boxes": boxes,
            "grid": paddle.ones([maps.shape[0], 3]),
            "none": maps.mean([2, 3])[:, :0],
        }

    recover(*dense_pair(finish), images(8), **STEP)
    told = capsys.readouterr().err
    assert "output 'labels' is left out of the loss: it is of int64, which has no gradient" in told
    assert "output 'none' is left out of the loss: it is empty, of shape [1, 0]" in told
    assert "output 'boxes' is left out of the loss: its shape [" in told
    assert (
        "output 'grid' is left out of the loss: no trainable parameter of the student moves it" in told
    )
    assert "'maps'" not in told


@pytest.mark.parametrize(
    ("finish", "message"),
    [
        (lambda self, maps: maps.argmax(1), "nothing to learn from: output: it is of int64"),
        (lambda self, maps: maps[0, 0], "nothing to learn from: output: its shape .* doesn't follow"),
        (lambda self, maps: "text", "nothing to learn from: no tensor"),
        (lambda self, maps: maps / 0, "the teacher's output isn't finite on the training data"),
    ],
)
def test_networks_that_give_nothing_to_learn_from(finish, message):
    with pytest.raises(ArgumentError, match=message):
        recover(*dense_pair(finish), images(8), **STEP)


def test_outputs_of_other_names_are_refused_with_both():
    student, teacher = dense_pair(lambda self, maps: {"maps": maps})
    student._finish = lambda self, maps: {"map": maps, "more": maps}
    with pytest.raises(ArgumentError) as caught:
        recover(student, teacher, images(8), **STEP)
    assert "the teacher gives 'maps' [1, 5, 10, 10], the student 'map' [1, 5, 10, 10], 'more' [" in str(
        caught.value
    )


def test_heads_that_only_training_has_are_left_alone():
    """As PaddleSeg's and Inception's: a list in training, a tensor or a shorter list else."""
    for short in (lambda maps: maps, lambda maps: [maps]):
        student, teacher = dense_pair(
            lambda self, maps, short=short: [maps, maps * 2, maps * 3] if self.training else short(maps)
        )
        seen = []
        recover(
            student, teacher, images(8), **STEP, progress=lambda now, seen=seen: seen.append(now.loss)
        )
        student.train()
        own = convert(teacher, fusion="sum")
        own.train()
        batch = paddle.to_tensor(images(8))
        assert len(own(batch)) == 3
        assert seen[0] < 10


def test_a_network_that_gives_something_else_in_training_is_refused_with_the_remedy():
    class Head(nn.Layer):
        def forward(self, maps):
            return {"maps": maps if self.training else maps[:, :1]}

    def pair_with_head():
        teacher = Dense(lambda self, maps: self.head(maps))
        teacher.head = Head()
        teacher.eval()
        return convert(teacher, fusion="sum"), teacher

    with pytest.raises(ArgumentError, match=r"in training mode 'maps' \[2, 5, 10, 10\]; put the layers"):
        recover(*pair_with_head(), images(8), **STEP)
    student, teacher = pair_with_head()
    student.train()
    student.head.eval()
    recover(student, teacher, images(8), **STEP)


def test_the_trial_in_training_mode_leaves_no_trace():
    """Only the one step itself moves the statistics, and what a forward registers is gone."""

    def finish(self, maps):
        self.register_buffer("seen", maps.mean(), persistable=True)
        return maps

    student, teacher = dense_pair(finish)
    x = images(8)
    before = student.norm._mean.numpy()
    student.eval()
    batch = student.b(F.relu(student.a(paddle.to_tensor(x)))).numpy().mean((0, 2, 3))
    for network in (student, teacher):
        network._buffers.pop("seen", None)
    recover(student, teacher, x, steps=1, batch_size=8)
    expected = 0.9 * before + 0.1 * batch
    np.testing.assert_allclose(student.norm._mean.numpy(), expected, rtol=1e-3, atol=1e-5)


def test_a_trial_registers_nothing():
    def finish(self, maps):
        self.register_buffer("seen", maps.mean(), persistable=True)
        return maps

    student, teacher = dense_pair(finish)
    for network in (student, teacher):
        network._buffers.pop("seen", None)
    with distilling(student, teacher):
        match_outputs(student, teacher, images(4), check_outputs(student, teacher, images(4)))
    for network in (student, teacher):
        assert "seen" not in network.state_dict()


@pytest.mark.parametrize(
    ("finish", "message"),
    [
        (lambda self, maps: maps, "and the networks have none, or leave label_weight 0"),
        (
            lambda self, maps: {"a": maps.mean([2, 3]), "b": maps.max([2, 3])},
            "the networks have 2: 'a', 'b'; give a network that has one",
        ),
    ],
)
def test_labels_need_one_output_that_they_are_for(finish, message):
    data = (images(8), np.zeros(8, int))
    with pytest.raises(ArgumentError, match=message):
        recover(*dense_pair(finish), data, **STEP, label_weight=1.0)


def test_labels_are_for_the_one_output_of_classes():
    student, teacher = dense_pair(lambda self, maps: {"maps": maps, "scores": maps.mean([2, 3])})
    data = (images(8), np.arange(8) % 5)
    recover(student, teacher, data, **STEP, label_weight=1.0)
    with pytest.raises(ArgumentError, match=r"batch 0: label . is [567], which is beyond the"):
        recover(student, teacher, (images(8), np.arange(8)), steps=1, batch_size=8, label_weight=1.0)


def test_layers_in_eval_mode_stay_so_where_the_rest_trains():
    student, teacher = pair()
    student.train()
    student.bn.eval()
    before = student.bn._mean.numpy()
    recover(student, teacher, 3 * images() + 1, steps=200, batch_size=8)
    np.testing.assert_array_equal(student.bn._mean.numpy(), before)
    assert student.training
    assert not student.bn.training


def test_a_student_in_eval_mode_trains_as_a_whole():
    student, teacher = pair()
    student.eval()
    before = student.bn._mean.numpy()
    recover(student, teacher, 3 * images() + 1, steps=2, batch_size=8)
    assert not np.array_equal(student.bn._mean.numpy(), before)
    assert not student.bn.training


def test_networks_with_weights_that_are_not_finite_are_named():
    for which in (0, 1):
        networks = pair()
        with paddle.no_grad():
            networks[which].head.weight[0, 0] = np.nan
        with pytest.raises(ArgumentError, match=r"the (student|teacher)'s 'head.weight' holds NaN"):
            recover(*networks, images(), **STEP)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_networks_are_trained_in_their_own_dtype(dtype):
    teacher = Dense(lambda self, maps: maps.mean([2, 3])).to(dtype=dtype)
    teacher.eval()
    student = convert(teacher, fusion="sum")
    data = (images(8), np.arange(8) % 5)
    recover(student, teacher, data, steps=200, batch_size=4, label_weight=1.0, eval_data=data)
    assert str(student.a.weight.dtype).endswith(dtype)


def test_features_of_another_shape_are_refused():
    teacher = Dense()
    teacher.eval()
    student = convert(Dense(), fusion="sum")
    student.b = convert(nn.Sequential(nn.Conv2D(8, 4, 3, padding=1)), fusion="sum")[0]
    student.norm, student.c = nn.BatchNorm2D(4), nn.Conv2D(4, 5, 1)
    with pytest.raises(ArgumentError, match=r"layer 'b' gives .* leave feature_weight 0"):
        recover(student, teacher, images(8), **STEP, same_network=False, feature_weight=1.0)


def test_the_accuracy_is_of_the_same_output_all_along():
    """Of (N, 4) and (N, 5) the labels of all images tell; those of the first batches wouldn't."""
    finish = lambda self, maps: {"a": maps.mean([2, 3])[:, :4], "b": maps.mean([2, 3])}  # noqa: E731
    student = dense_pair(finish)[0]
    labels = np.array([3] * 250 + [4])
    evaluation = Evaluation((np.zeros((251, 3, 4, 4), "float32"), labels), Processes())
    with pytest.warns(AccuracyWarning, match="is of the output 'b'"):
        evaluation.top1(student)
