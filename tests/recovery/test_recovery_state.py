"""Killed and started again: the same end, and never a damaged file."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import paddle
import pytest
from recovery_networks import assert_same, images, pair, weights

from spconvify import ArgumentError, CheckpointError, recover, save
from spconvify.files import scratch

RUN = {"steps": 9, "batch_size": 8, "checkpoint_every": 2, "eval_every": 3}


class Killed(BaseException):
    pass


def interrupted_at(step, checkpoint, **options):
    """Start a run and stop it after some step, as a signal would."""

    def watch(now):
        if now.step == step:
            raise Killed

    with pytest.raises(Killed):
        recover(*pair(), images(), **RUN, **options, checkpoint=checkpoint, progress=watch)


@pytest.mark.parametrize("step", [1, 5, 8])
@pytest.mark.parametrize("judged", [False, True])
def test_it_goes_on_where_it_was(tmp_path, step, judged):
    """With accuracies the best weights come back, without them the last ones."""
    student, teacher = pair()
    labels = teacher(paddle.to_tensor(images())).numpy().argmax(1)
    more = {"eval_data": (images(), labels)} if judged else {}
    recover(student, teacher, images(), **RUN, **more)
    checkpoint = tmp_path / "run.safetensors"
    interrupted_at(step, checkpoint, **more)
    again, steps = pair()[0], []
    recover(
        again, teacher, images(), **RUN, **more, checkpoint=checkpoint,
        progress=lambda now: steps.append(now.step),
    )  # fmt: skip
    assert steps == list(range(step // 2 * 2 + 1, 10))
    assert_same(weights(again), weights(student))


def test_a_file_that_comes_before_the_first_checkpoint_stays(tmp_path):
    checkpoint = tmp_path / "run.safetensors"

    def watch(now):
        checkpoint.write_text("precious")

    with pytest.raises(CheckpointError, match=r"run\.safetensors exists and is as it was"):
        recover(*pair(), images(), **RUN, checkpoint=checkpoint, progress=watch)
    assert checkpoint.read_text() == "precious"


def test_dropout_goes_on_where_it_was(tmp_path):
    class Dropping(paddle.nn.Layer):
        def __init__(self, network):
            super().__init__()
            self.network, self.dropout = network, paddle.nn.Dropout(0.5)

        def forward(self, x):
            return self.network(self.dropout(x))

    paddle.seed(7)
    expected = paddle.rand([3]).numpy()
    results = []
    for stop in (None, 5):
        student, teacher = map(Dropping, pair())
        checkpoint = tmp_path / f"{stop}.safetensors"
        paddle.seed(7)

        def watch(now, stop=stop):
            if now.step == stop:
                raise Killed

        with contextlib.suppress(Killed):
            recover(student, teacher, images(), **RUN, checkpoint=checkpoint, progress=watch)
        np.testing.assert_array_equal(paddle.rand([3]).numpy(), expected)  # the caller's numbers go on
        if stop:
            student = Dropping(pair()[0])
            recover(student, teacher, images(), **RUN, checkpoint=checkpoint)
        results.append(weights(student))
    assert_same(*results)


def test_a_finished_run_does_nothing_more(tmp_path):
    student, teacher = pair()
    recover(student, teacher, images(), **RUN, checkpoint=tmp_path / "run.safetensors")
    again, steps = pair()[0], []
    recover(
        again, teacher, images(), **RUN, checkpoint=tmp_path / "run.safetensors", progress=steps.append
    )
    assert not steps
    assert_same(weights(again), weights(student))


class Dropping(paddle.nn.Layer):
    """Only in every second batch a layer of it has a gradient, and late."""

    def __init__(self, network):
        super().__init__()
        self.network, self.late = network, paddle.nn.Linear(5, 5)
        self.calls = 0

    def forward(self, x):
        y = self.network(x)
        if self.training:
            self.calls += 1
        return self.late(y) if self.calls > 6 else y


def test_the_same_cell_again_goes_on(tmp_path, capsys):
    """With networks whose parameters have the same names again, as `spconvify.load` gives them."""
    results = []
    for stop in (None, 5):
        checkpoint = tmp_path / f"{stop}.safetensors"
        for again in range(1 if stop is None else 3):
            with paddle.utils.unique_name.guard():
                student, teacher = pair()

            def watch(now, stop=stop if again < 2 else None):
                if now.step == stop:
                    raise Killed

            with contextlib.suppress(Killed):
                recover(student, teacher, images(), **RUN, checkpoint=checkpoint, progress=watch)
        results.append(weights(student))
    assert_same(*results)
    told = capsys.readouterr().err.splitlines()
    text = f"resuming: checkpoint {tmp_path / '5.safetensors'} has 4 of 9 steps of this run"
    assert told == [f"spconvify: {text}"] * 2


@pytest.mark.parametrize("stop", [1, 5])
def test_the_same_student_again_goes_on(tmp_path, stop):
    """A notebook's cell that doesn't make its network anew: it was trained in place."""
    student, teacher = pair()
    recover(student, teacher, images(), **RUN)
    own, steps, checkpoint = pair()[0], [], tmp_path / "run.safetensors"

    def watch(now):
        if now.step == stop:
            raise Killed

    with pytest.raises(Killed):
        recover(own, teacher, images(), **RUN, checkpoint=checkpoint, progress=watch)
    for _ in range(2):
        recover(
            own, teacher, images(), **RUN, checkpoint=checkpoint,
            progress=lambda now: steps.append(now.step),
        )  # fmt: skip
        assert steps == list(range(stop // 2 * 2 + 1, 10))
        assert_same(weights(own), weights(student))


def test_networks_whose_parameters_share_names():
    """Paddle keeps an optimizer's moments by those: two parts would have one."""
    with paddle.utils.unique_name.guard():
        student, teacher = pair()
    with paddle.utils.unique_name.guard():
        other, _ = pair()
    names = [parameter.name for parameter in other.parameters()]
    assert names == [parameter.name for parameter in student.parameters()]

    class Two(paddle.nn.Layer):
        def __init__(self, first, second):
            super().__init__()
            self.first, self.second = first, second

        def forward(self, x):
            return [self.first(x), self.second(x)]

    two = Two(student, other)
    recover(two, Two(teacher, pair()[1]), images(), steps=3, batch_size=8, same_network=False)
    assert [parameter.name for parameter in other.parameters()] == names
    for key, value in weights(student).items():
        np.testing.assert_allclose(value, weights(other)[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_a_layer_that_is_reached_late(tmp_path):
    """Its moments aren't there when the checkpoint is written."""
    paddle.seed(3)
    start = paddle.nn.Linear(5, 5).state_dict()
    results = []
    for stop in (None, 5):
        checkpoint = tmp_path / f"{stop}.safetensors"
        for again in range(1 if stop is None else 2):
            student, teacher = map(Dropping, pair())
            student.late.set_state_dict(start)
            teacher.late.set_state_dict(start)
            student.calls = 0 if not again else 4  # and the one of the trial before the training

            def watch(now, stop=stop if not again else None):
                if now.step == stop:
                    raise Killed

            with contextlib.suppress(Killed):
                recover(student, teacher, images(), **RUN, checkpoint=checkpoint, progress=watch)
        results.append(weights(student))
    assert not np.array_equal(results[0]["late.weight"], start["weight"].numpy())
    assert_same(*results)


def test_numpys_numbers_are_numbers(tmp_path):
    numbers = {"learning_rate": np.float32(1e-3), "seed": np.int64(3), "temperature": np.float64(2)}
    for _ in range(2):
        recover(*pair(), images(), **RUN, **numbers, checkpoint=tmp_path / "run.safetensors")


def test_a_finished_run_says_so(tmp_path, capsys):
    for _ in range(2):
        recover(*pair(), images(), **RUN, checkpoint=tmp_path / "run.safetensors")
    assert "has all 9 steps of this run" in capsys.readouterr().err


def test_other_data_labels_or_layers_are_another_run(tmp_path):
    checkpoint, labels = tmp_path / "run.safetensors", np.arange(32) % 5
    changed = images()
    changed[15, 1, 2, 3] += 1
    judged = {"eval_data": (images(), labels)}

    def start(data, **options):
        checkpoint.unlink(missing_ok=True)

        def watch(now):
            if now.step == 5:
                raise Killed

        with pytest.raises(Killed):
            recover(*pair(), data, **RUN, **options, checkpoint=checkpoint, progress=watch)

    def refused(match, data, change=lambda student: None, **options):
        student, teacher = pair()
        change(student)
        with pytest.raises(ArgumentError, match=f"belongs to another run: {match}"):
            recover(student, teacher, data, **RUN, **options, checkpoint=checkpoint)

    start(images())
    refused("its data is 32 images", changed)
    refused("its data is 32 images", (images(), labels))
    refused("its augmentation is none and not", images(), augment=lambda x, random: x + 1)
    refused("other layers are frozen or in eval", images(), lambda s: (s.train(), s.bn.eval()))
    refused("other layers are frozen", images(), lambda s: setattr(s.stem.weight, "stop_gradient", True))
    refused("its loss is None and not mse", images(), loss="mse")
    start((images(), labels), label_weight=1.0)
    refused("its data is 32 images .* with labels", (images(), labels[::-1].copy()), label_weight=1.0)
    start(images(), **judged)
    refused("its eval_data is 1 batches", images(), eval_data=(changed, labels))
    refused("its eval_data is 1 batches", images(), eval_data=(images(), labels[::-1].copy()))
    refused("its eval_data is 1 batches .* and not none", images())


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    checkpoint = tmp_path / "run.safetensors"
    interrupted_at(5, checkpoint)
    student, teacher = pair()
    with pytest.raises(ArgumentError, match=r"another run: its learning_rate is 0\.003 and not 1"):
        recover(student, teacher, images(), **RUN, learning_rate=1.0, checkpoint=checkpoint)
    other, teacher = pair(seed=1)
    with pytest.raises(ArgumentError, match="its student is another one"):
        recover(other, teacher, images(), **RUN, checkpoint=checkpoint)
    student, teacher = pair()
    with pytest.raises(ArgumentError, match=r"its data is 32 images \(\w+\) and not 31 images \(\w+\)"):
        recover(student, teacher, images()[:-1], **RUN, checkpoint=checkpoint)
    judged = (images(), np.zeros(len(images()), "int64"))
    with pytest.raises(ArgumentError, match="its eval_data is none and not 1 batches"):
        recover(student, teacher, images(), **RUN, eval_data=judged, checkpoint=checkpoint)


def test_a_file_that_is_no_such_checkpoint(tmp_path):
    student, teacher = pair()
    save(student, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="isn't a checkpoint of a recovery"):
        recover(student, teacher, images(), **RUN, checkpoint=tmp_path / "weights.safetensors")
    checkpoint = tmp_path / "run.safetensors"
    interrupted_at(5, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="can't read"):
        recover(student, teacher, images(), **RUN, checkpoint=checkpoint)


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    checkpoint = tmp_path / "run.safetensors"
    interrupted_at(3, checkpoint)
    before = checkpoint.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        with pytest.raises(CheckpointError, match=r"can't write .*: No space left on device"):
            recover(
                *pair(), images(), **RUN, checkpoint=checkpoint,
                progress=lambda _: patch.setattr(scratch.os, "fsync", full),
            )  # fmt: skip
    assert checkpoint.read_bytes() == before
    assert os.listdir(tmp_path) == ["run.safetensors"]
    student, teacher = pair()
    recover(student, teacher, images(), **RUN, checkpoint=checkpoint)


_SCRIPT = """
import sys
from recovery_networks import images, pair
from spconvify import recover, save
student, teacher = pair()
recover(student, teacher, images(), steps=150, batch_size=8, checkpoint_every=1, checkpoint=sys.argv[1])
save(student, sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.0, 0.3])
def test_killed_by_a_signal(tmp_path, seconds):
    checkpoint, result = tmp_path / "run.safetensors", tmp_path / "result.pdparams"
    command = [sys.executable, "-c", _SCRIPT, str(checkpoint), str(result)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment) as process:
        while not checkpoint.exists():
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    assert not result.exists()
    subprocess.run(command, env=environment, check=True)
    student, teacher = pair()
    recover(student, teacher, images(), steps=150, batch_size=8)
    from spconvify.checkpoint import read_state

    assert_same(read_state(result), weights(student))


@pytest.mark.parametrize("what", ["file", "link", "dangling link", "same size", "folder"])
def test_what_comes_to_the_checkpoints_place_stays(tmp_path, what):
    """After the first checkpoint: neither replaced, nor followed."""
    checkpoint, other = tmp_path / "run.safetensors", tmp_path / "other"
    other.write_text("precious")

    def watch(now):
        if now.step != 5:
            return
        size = checkpoint.stat().st_size
        checkpoint.rename(tmp_path / "moved")
        if what == "folder":
            checkpoint.mkdir()
        elif "link" in what:
            checkpoint.symlink_to(other if what == "link" else tmp_path / "nowhere")
        else:
            checkpoint.write_text("x" * size if what == "same size" else "precious")

    with pytest.raises(
        CheckpointError, match=r"run\.safetensors exists and is as it was: it came there"
    ):
        recover(*pair(), images(), **RUN, checkpoint=checkpoint, progress=watch)
    assert other.read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()
    assert checkpoint.is_symlink() == ("link" in what)
    if what == "file":
        assert checkpoint.read_text() == "precious"


def test_a_checkpoint_that_somebody_removed_is_written_again(tmp_path):
    checkpoint = tmp_path / "run.safetensors"

    def watch(now):
        if now.step == 5:
            checkpoint.unlink()

    recover(*pair(), images(), **RUN, checkpoint=checkpoint, progress=watch)
    assert checkpoint.is_file()


def test_a_checkpoint_behind_a_link_stays_there(tmp_path):
    """A link that was there at the beginning is followed; it stays one."""
    checkpoint, target = tmp_path / "run.safetensors", tmp_path / "disk.safetensors"
    interrupted_at(5, target)
    checkpoint.symlink_to(target)
    before = target.read_bytes()
    recover(*pair(), images(), **RUN, checkpoint=checkpoint)
    assert checkpoint.is_symlink()
    assert target.read_bytes() != before
