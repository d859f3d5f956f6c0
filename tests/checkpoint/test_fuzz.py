"""A slice of the fuzzing (`tools/fuzz_checkpoints.py` does it by the thousand), and that it can fail."""

import os
import pickle

import fuzz_checkpoints
import pytest
from fuzz_checkpoints import fuzz


def test_a_thousand_files_give_no_surprise(tmp_path):
    verdicts = fuzz(1000, 1, tmp_path)
    assert set(verdicts) <= {"refused", "right", "read (nothing could tell)"}
    assert verdicts["refused"] > 900
    assert verdicts["right"] > 0


def unsafe(path):
    return pickle.loads(path.read_bytes())


def endless(path):
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (unsafe, "Execution"),
        (unsafe, "Traceback"),
        (lambda _: {"w": 1}, "Wrong answer"),
        (lambda _: os._exit(3), "Crash"),
        (endless, "Hang"),
    ],
)
def test_it_would_tell(tmp_path, monkeypatch, read, expected):
    monkeypatch.setattr(fuzz_checkpoints, "read_state", read)
    monkeypatch.setattr(fuzz_checkpoints, "SECONDS", 1)
    count = 100 if read is unsafe else 2
    assert any(verdict.startswith(expected) for verdict in fuzz(count, 1, tmp_path))
