"""benchmarks/train_from_scratch.py: twins train, and go on where they were killed."""

import json
import sys

import numpy as np
import paddle
import pytest
import train_from_scratch

from spconvify.operators.spconv.layer import SPConv2D


class Noise(paddle.io.Dataset):
    """Labelled images that need no file."""

    def __init__(self, count):
        random = np.random.default_rng(count)
        self._images = random.standard_normal((count, 1, 28, 28), dtype="float32")
        self._labels = random.integers(0, 10, (count, 1))

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        return self._images[index], self._labels[index]


class Killed(BaseException):
    pass


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Runs the script; gives the results by job."""
    monkeypatch.setattr(
        train_from_scratch, "datasets_of", lambda mode, *_: Noise(32 if mode == "train" else 16)
    )

    def call(*arguments):
        options = ["--data", "fashion-mnist", "--network", "resnet20", "--batch-size", "16"]
        places = ["--work-dir", str(tmp_path / "work"), "--out", str(tmp_path / "out.json")]
        monkeypatch.setattr(sys, "argv", ["train", *options, *places, *arguments])
        train_from_scratch.main()
        return json.loads((tmp_path / "out.json").read_text())["jobs"]

    return call


def test_twins_have_results_and_are_not_trained_twice(train, tmp_path, monkeypatch):
    jobs = train("--epochs", "1")
    dense, slim = jobs.values()
    assert slim["params"] < dense["params"]
    assert slim["macs"] < dense["macs"]
    assert all(0 <= job["top1"] <= 100 and job["resumed_after_epochs"] == 0 for job in jobs.values())
    assert (tmp_path / "out.md").read_text().count("\n") == 4
    monkeypatch.setattr(train_from_scratch, "run", None)  # would be called
    assert train("--epochs", "1") == jobs


def test_killed_after_an_epoch_it_goes_on_with_weights_momenta_and_rate(train, monkeypatch):
    rates, whole = [], train_from_scratch.EpochCheckpoint.on_epoch_end

    def killed(self, epoch, logs=None):
        whole(self, epoch, logs)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(train_from_scratch.EpochCheckpoint, "on_epoch_end", killed)
        with pytest.raises(Killed):
            train("--epochs", "2", "--twins", "spconv")

    def first_batch(self, step, logs=None):
        optimizer = self.model._optimizer
        known = optimizer._accumulators_holder  # what was loaded waits here for the first step
        momenta = {key: value for key, value in known.items() if "velocity" in key}
        owners = {f"{parameter.name}_velocity_0" for parameter in self.model.network.parameters()}
        rates.append(
            (optimizer.get_lr(), any(np.asarray(momenta[key]).any() for key in owners & set(momenta)))
        )
        assert any(isinstance(layer, SPConv2D) for layer in self.model.network.sublayers())

    monkeypatch.setattr(train_from_scratch.EpochCheckpoint, "on_train_batch_begin", first_batch)
    (job,) = train("--epochs", "2", "--twins", "spconv").values()
    assert job["resumed_after_epochs"] == 1
    assert [rate for rate, _ in rates] == pytest.approx([0.01, 0.001])  # of four steps, the last two
    assert rates[0][1], "the momenta of the first epoch are lost"
