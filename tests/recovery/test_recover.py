"""recover on tiny networks: what it learns, what it leaves alone, and how it stops."""

import numpy as np
import paddle
import pytest
from recovery_networks import assert_same, images, pair, weights

from spconvify import ArgumentError, RecoveryError, recover
from spconvify.recovery.batches import Batches
from spconvify.recovery.recipe import Recipe
from spconvify.recovery.run import distil
from spconvify.recovery.statistics import average_statistics, batches_to_average

SMALL = {"steps": 6, "batch_size": 8}


def labels_of(teacher, x):
    return teacher(paddle.to_tensor(x)).numpy().argmax(1)


def test_the_student_comes_closer_to_its_teacher():
    student, teacher = pair()
    held_out = paddle.to_tensor(images(64, seed=1))
    student.eval()
    before = float(((student(held_out) - teacher(held_out)) ** 2).mean())
    assert recover(student, teacher, images(64), steps=60, batch_size=32, learning_rate=1e-2) is student
    assert float(((student(held_out) - teacher(held_out)) ** 2).mean()) < 0.5 * before


@pytest.mark.parametrize("feature_weight", [0.0, 1.0])
def test_the_teacher_is_left_as_it_was(feature_weight):
    student, teacher = pair()
    student.train()
    student.bn.training = False
    teacher.train()
    before = weights(teacher)
    recover(student, teacher, images(), **SMALL, feature_weight=feature_weight)
    assert_same(weights(teacher), before)
    assert teacher.training
    assert student.training
    assert not student.bn.training
    for layer in (*student.sublayers(True), *teacher.sublayers(True)):
        assert not layer._forward_post_hooks
        assert all(parameter.grad is None for parameter in layer.parameters())


def test_one_step_updates_the_running_statistics_once():
    """PaddleSlim runs the student once more at the start."""
    student, teacher = pair()
    x = images(8)
    mean = student.bn._mean.numpy()
    batch_mean = student.stem(paddle.to_tensor(x)).numpy().mean((0, 2, 3))
    recover(student, teacher, x, steps=1, batch_size=8)
    momentum = student.bn._momentum
    expected = momentum * mean + (1 - momentum) * batch_mean
    np.testing.assert_allclose(student.bn._mean.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_the_statistics_at_the_end_are_those_of_the_final_weights():
    student, teacher = pair()
    x = images(64)
    recover(student, teacher, x, steps=200, batch_size=32, learning_rate=1e-2)
    maps = student.stem(paddle.to_tensor(x)).numpy()  # both halves of `x` come equally often
    mean, variance = student.bn._mean.numpy(), student.bn._variance.numpy()
    np.testing.assert_allclose(mean, maps.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(variance, maps.var((0, 2, 3)), rtol=2e-2)
    assert student.bn._momentum == 0.9


def test_a_tenth_of_the_steps_is_averaged():
    assert [batches_to_average(steps) for steps in (6, 199, 200, 2000)] == [0, 20, 20, 200]
    assert batches_to_average(190) == 0


def test_a_norm_that_keeps_its_statistics_keeps_them_at_the_end():
    student = pair()[0]
    student.train()
    student.bn._use_global_stats = True
    before = student.bn._mean.numpy()
    average_statistics(student, [paddle.to_tensor(images(8))])
    np.testing.assert_array_equal(student.bn._mean.numpy(), before)


def test_the_loss_is_hintons_plus_the_layers_relative_distance():
    student, teacher = pair()
    student.eval()  # what the loss of the first step sees is training mode: use a network like eval
    for layer in (student.bn, teacher.bn):
        layer._use_global_stats = True
    x = paddle.to_tensor(images(8))
    seen = {}
    for network in (student, teacher):
        for name in ("conv1", "conv2"):
            getattr(network, name).register_forward_post_hook(
                lambda layer, i, y, key=(network is teacher, name): seen.__setitem__(key, y.numpy())
            )
    ours, theirs = student(x).numpy() / 3, teacher(x).numpy() / 3
    log_p, log_q = (v - np.log(np.exp(v).sum(1, keepdims=True)) for v in (ours, theirs))
    expected = 9 * (np.exp(log_q) * (log_q - log_p)).sum(1).mean()
    for name in ("conv1", "conv2"):
        own, other = seen[False, name], seen[True, name]
        expected += 0.25 * ((own - other) ** 2).mean() / other.var()
    recipe = Recipe(steps=1, batch_size=8, temperature=3.0, feature_weight=0.5)
    state = distil(student, teacher, Batches(images(8), 8), recipe)
    assert state.losses[0] == pytest.approx(expected, rel=1e-4)


def test_the_same_seed_gives_the_same_weights():
    results = []
    for seed in (0, 0, 1):
        student, teacher = pair()
        recover(student, teacher, images(), **SMALL, seed=seed)
        results.append(weights(student))
    assert_same(results[0], results[1])
    assert not np.array_equal(results[0]["head.weight"], results[2]["head.weight"])


def test_steps_are_as_long_as_the_rate_says():
    """Adam's first steps move a weight by the rate, whatever its gradient is."""
    student, teacher = pair()
    seen, now = [student.head.weight.numpy()], []

    def watch(progress):
        seen.append(student.head.weight.numpy().copy())
        now.append(progress)

    recover(student, teacher, images(), steps=20, batch_size=8, warmup=0.5, progress=watch)
    moved = [np.abs(b - a).max() for a, b in zip(seen, seen[1:])]
    assert moved[0] == pytest.approx(now[0].learning_rate, rel=1e-2)
    assert moved[9] > 4 * moved[0]
    assert moved[-1] < 0.2 * moved[9]
    assert now[-1].seconds_left == 0.0
    assert now[9].seconds_left > 0.0
    assert [progress.step for progress in now] == list(range(1, 21))


def test_weight_decay_shrinks_the_weights():
    norms = []
    for decay in (0.0, 10.0):
        student, teacher = pair()
        recover(student, teacher, images(), **SMALL, weight_decay=decay)
        norms.append(float(student.conv1.gwc.weight.norm()))
    assert norms[1] < 0.95 * norms[0]


def test_frozen_parameters_stay():
    student, teacher = pair()
    student.stem.weight.stop_gradient = True
    before = weights(student)
    recover(student, teacher, images(), **SMALL)
    assert np.array_equal(student.stem.weight.numpy(), before["stem.weight"])
    assert not np.array_equal(student.head.weight.numpy(), before["head.weight"])


def test_a_metric_of_ones_own_is_shown_and_chooses_nothing(capsys):
    student, teacher = pair()
    seen = []

    def worse(network):
        assert not network.training
        return {"CER": -float(np.abs(network.stem.weight.numpy()).sum())}

    recover(
        student, teacher, images(), steps=4, batch_size=16, eval_every=2, eval_data=worse,
        progress=lambda now: seen.append(now),
    )  # fmt: skip
    assert [bool(now.metrics) for now in seen] == [False, True, False, True]
    assert seen[-1].metrics == worse_of(student)
    assert f", CER {seen[-1].metrics['CER']:.5g}" in seen[-1].text
    assert "at step 0: CER " in capsys.readouterr().err

    def fails(network):
        raise KeyError("no file")

    with pytest.raises(ArgumentError, match="metric 'fails' failed on the student: KeyError: 'no file'"):
        recover(student, teacher, images(), steps=4, batch_size=16, eval_data=fails)


def worse_of(network):
    return {"CER": -float(np.abs(network.stem.weight.numpy()).sum())}


def test_the_best_weights_come_back():
    student, teacher = pair()
    x = images(64)
    seen = {}

    def watch(now):
        if now.top1 is not None:
            seen.setdefault(now.top1, weights(student))  # of equal ones the first

    recover(
        student, teacher, x, steps=10, batch_size=16, learning_rate=3e-2, eval_every=1,
        eval_data=(x, labels_of(teacher, x)), progress=watch,
    )  # fmt: skip
    assert len(seen) > 1
    assert_same(weights(student), seen[max(seen)])


def test_a_training_that_only_harms_gives_the_start_back():
    student, teacher = pair()
    x = images()
    student.eval()
    labels = labels_of(student, x)
    before = weights(student)
    recover(student, teacher, x, **SMALL, learning_rate=10.0, eval_data=(x, labels))
    assert_same(weights(student), before)


def test_a_loss_that_rises_is_told(capsys):
    options = {"steps": 12, "batch_size": 8, "warmup": 0.0, "progress": False}
    recover(*pair(), images(64), learning_rate=1.0, **options)
    assert "the loss rose from" in capsys.readouterr().err
    recover(*pair(), images(64), learning_rate=1e-3, **options)
    assert "the loss rose" not in capsys.readouterr().err


def test_labels_count_where_they_are_wanted():
    results = []
    for weight in (0.0, 1.0):
        student, teacher = pair()
        recover(student, teacher, (images(), np.zeros(32, int)), **SMALL, label_weight=weight)
        results.append(weights(student)["head.bias"])
    assert results[1][0] > results[0][0]
    with pytest.raises(ArgumentError, match="label_weight needs labels, and batch 0 has none"):
        recover(*pair(), images(), **SMALL, label_weight=1.0)


def test_a_loss_that_is_not_finite_stops_the_training():
    student, teacher = pair()
    before = weights(student)
    with pytest.raises(RecoveryError, match=r"loss is (nan|inf); the student is back at step 0; try"):
        recover(student, teacher, images(), steps=40, batch_size=8, learning_rate=1e30)
    assert_same(weights(student), before)


def test_weights_that_are_not_finite_are_never_the_last_good_ones(tmp_path):
    """Their loss would be seen a step later, when the checkpoint is written already."""
    student, teacher = pair()
    before, checkpoint = weights(student), tmp_path / "run.safetensors"
    options = {"steps": 5, "batch_size": 8, "checkpoint_every": 1, "checkpoint": checkpoint}
    with pytest.raises(RecoveryError, match="step 0: weights aren't finite any more"):
        recover(student, teacher, images(), **options, learning_rate=1e39)
    assert_same(weights(student), before)
    assert not checkpoint.exists()


def test_networks_with_several_outputs_use_the_first():
    class Several(paddle.nn.Layer):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, x):
            return self.network(x), x.sum()

    student, teacher = map(Several, pair())
    recover(student, teacher, images(), **SMALL, feature_weight=0.1)


def test_a_student_that_differs_elsewhere_needs_leave():
    student, teacher = pair()
    student.conv2 = paddle.nn.Sequential(student.conv2, paddle.nn.Conv2D(16, 16, 1))
    with pytest.raises(ArgumentError, match="don't belong together"):
        recover(student, teacher, images(), **SMALL)
    recover(student, teacher, images(), **SMALL, same_network=False, feature_weight=1.0)


def test_curves_are_logged(tmp_path):
    pytest.importorskip("visualdl")
    recover(*pair(), images(), **SMALL, log_dir=tmp_path / "curves")
    assert list((tmp_path / "curves").glob("vdlrecords*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1, "epochs": 1}, "steps 1 and epochs 1 are both given"),
        ({"epochs": 0}, "epochs 0 is less than 1"),
        ({"steps": 0}, "steps 0 is less than 1"),
        ({"eval_every": 0}, "eval_every 0 is less than 1"),
        ({"checkpoint": "run.pdparams"}, "checkpoint run.pdparams must end in .safetensors"),
        ({"augment": False}, "augment False isn't a function of the images"),
        ({"augment": "flip"}, "augment 'flip' isn't a function of the images"),
        ({"steps": 1, "eval_data": images()}, "batch 0 is 3x10x10"),
        ({"steps": 1, "eval_data": [images()]}, "eval_data: batch 0 has no labels"),
        ({"steps": 1, "eval_data": []}, "eval_data is empty"),
        (
            {"steps": 1, "eval_data": (np.ma.masked_greater(images(), 1), np.zeros(32, int))},
            "eval_data is masked",
        ),
    ],
)
def test_wrong_calls(options, message):
    with pytest.raises(ArgumentError, match=message):
        recover(*pair(), images(), **options)


def test_curves_do_not_take_the_place_of_the_checkpoint(tmp_path):
    with pytest.raises(ArgumentError, match="would be a folder where checkpoint"):
        recover(*pair(), images(), **SMALL, checkpoint=tmp_path / "c.safetensors",
                log_dir=tmp_path / "c.safetensors" / "curves")  # fmt: skip
    assert not list(tmp_path.iterdir())
