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

from spconvify import ArgumentError, CheckpointError, recover, save, scratch

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
