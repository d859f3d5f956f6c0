"""A slice of the fuzzing (`tools/fuzz_programs.py` does it by the thousand), and that it can fail."""

import os

import fuzz_programs
import pytest
from fuzz_programs import fuzz


def test_some_hundred_files_give_no_surprise(tmp_path):
    verdicts = fuzz(300, 7, tmp_path)
    assert not [name for name in verdicts if name[0].isupper()]
    assert verdicts["refused"] > 50
    assert verdicts["built, and runs"] > 50


class Failing:
    """In the place of what reads a program."""

    def __init__(self, how):
        self._how = how

    def __call__(self, files):
        return self

    def build(self, lazy=False):
        return self._how()


def hostile():
    raise KeyError("no line")


def endless():
    while True:
        pass


@pytest.mark.parametrize(
    ("how", "expected"),
    [(hostile, "Traceback: KeyError"), (lambda: os._exit(3), "Crash: 3"), (endless, "Hang")],
)
def test_it_would_tell(tmp_path, monkeypatch, how, expected):
    monkeypatch.setattr(fuzz_programs, "ProgramArchitecture", Failing(how))
    monkeypatch.setattr(fuzz_programs, "SECONDS", 1)
    monkeypatch.setattr(fuzz_programs, "write_sources", one_source)
    assert any(verdict.startswith(expected) for verdict in fuzz(2, 1, tmp_path))


def one_source(folder):
    from made_programs import feed, fetch, pir, put

    (folder / "one").mkdir()
    put(folder / "one", pir(feed(1), fetch(1)))


def test_an_execution_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz_programs, "write_sources", one_source)
    monkeypatch.setattr(
        fuzz_programs, "ProgramArchitecture", Failing(lambda: (tmp_path / "canary").write_text("x"))
    )
    assert fuzz(2, 1, tmp_path)["Execution"] == 1
