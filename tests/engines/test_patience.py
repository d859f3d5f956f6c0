"""A process that never answers is given up, with its name and the remedy; one that works isn't."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import networks as nets
import pytest

from spconvify import ArgumentError, EngineError
from spconvify.engines import children, patience
from spconvify.engines.eager import ENGINE
from spconvify.engines.patience import VARIABLE, Patience, limit, processor_time
from spconvify.engines.process import Worker

SHAPE = (1, 3, 12, 12)
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it tells processor times")


def worker_of(network, folder):
    ENGINE.write(network, folder, SHAPE)
    job = {"engine": "eager", "folder": str(folder), "input_shape": SHAPE, "threads": 1, "device": "cpu"}
    return Worker(job, "before")


class Hangs(nets.PlainNet):
    def forward(self, x):
        time.sleep(600)


class Reads(nets.PlainNet):
    def forward(self, x):
        assert sys.stdin.read() == ""
        return nets.PlainNet.forward(self, x)


def test_a_network_that_hangs_is_given_up(tmp_path, monkeypatch):
    with worker_of(Hangs(), tmp_path) as worker:
        worker.wait_until_loaded()
        monkeypatch.setenv(VARIABLE, "2")
        with pytest.raises(EngineError, match=f"'before' failed: its process .* set {VARIABLE}=SECONDS"):
            worker.run(1)
        assert worker._process.poll() == -signal.SIGKILL


def test_a_process_that_is_stopped_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "2")
    with worker_of(nets.PlainNet(), tmp_path) as worker:
        os.kill(worker._process.pid, signal.SIGSTOP)  # before it has read what it is to do
        with pytest.raises(EngineError, match="doesn't answer"):
            worker.wait_until_loaded()


def test_the_converter_is_given_up_too(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    (tmp_path / "sleeper.py").write_text("import time\ndef main(job): time.sleep(600)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    start = time.monotonic()
    with pytest.raises(EngineError, match="doesn't answer"):
        children.run("sleeper", {}, tmp_path, os.environ)
    assert time.monotonic() - start < 60


@on_linux
def test_a_process_says_what_it_is(tmp_path):
    with worker_of(nets.PlainNet(), tmp_path) as worker:
        worker.wait_until_loaded()
        line = Path(f"/proc/{worker._process.pid}/cmdline").read_bytes()
    assert line.endswith(b"\0spconvify.engines.worker\0")


def test_what_a_network_reads_is_not_a_question(tmp_path):
    with worker_of(Reads(), tmp_path) as worker:
        worker.wait_until_loaded()
        assert len(worker.run(1)) == 1


def test_only_what_is_an_answer_is_one(tmp_path, monkeypatch):
    """A sitecustomize that prints, with a line's end and without."""
    text = "import sys\nprint('hello')\nprint('{\"answer\": 7}')\nsys.stdout.write('half a line')\n"
    (tmp_path / "sitecustomize.py").write_text(text)
    monkeypatch.setattr(children, "_LEFT_OUT", ())  # so that it is run
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONUNBUFFERED", "1")
    with worker_of(nets.PlainNet(), tmp_path) as worker:
        worker.wait_until_loaded()
        assert len(worker.run(1)) == 1


def test_a_sitecustomize_of_the_users_path_is_not_run(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with worker_of(nets.PlainNet(), tmp_path) as worker:
        worker.wait_until_loaded()


def test_a_module_that_runs_itself_when_it_is_imported(tmp_path, monkeypatch):
    text = f"from spconvify.engines import children\nchildren.run('json', {{}}, {str(tmp_path)!r}, {{}})"
    (tmp_path / "runs_itself.py").write_text(text)
    (tmp_path / "network.pickle").write_bytes(b"cruns_itself\nNetwork\n.")
    monkeypatch.syspath_prepend(str(tmp_path))
    job = {"engine": "eager", "input_shape": SHAPE, "threads": 1, "device": "cpu"}
    with Worker({**job, "folder": str(tmp_path)}, "before") as worker:
        with pytest.raises(EngineError, match="runs networks when it is imported"):
            worker.wait_until_loaded()


@on_linux
def test_one_that_computes_has_more_time(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    ticks = iter(range(10_000))
    monkeypatch.setattr(patience, "processor_time", lambda pid: next(ticks))
    busy = Patience(1)
    for _ in range(29):
        busy.check(60)
    with pytest.raises(EngineError, match="has taken 1800 s"):
        busy.check(60)
    monkeypatch.setattr(patience, "processor_time", lambda pid: 5)
    idle = Patience(1)
    idle.check(44)
    with pytest.raises(EngineError, match="has done nothing for 45 s"):
        idle.check(1)


def test_where_nobody_tells_what_a_process_computes(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(patience, "processor_time", lambda pid: None)
    unknown = Patience(1)
    unknown.check(1799)
    with pytest.raises(EngineError):
        unknown.check(1)


@on_linux
def test_what_a_child_of_the_child_computes_counts():
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        time.sleep(1)
        first = processor_time(process.pid)
        time.sleep(2)
        assert processor_time(process.pid) > first + 5
        os.killpg(process.pid, signal.SIGKILL)
    assert processor_time(process.pid) is None


@pytest.mark.parametrize("text", ["soon", "-1", "0", "nan", "1 s"])
def test_a_limit_that_is_none(monkeypatch, text):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ArgumentError, match=f"{VARIABLE}='{text}' isn't a time in seconds"):
        limit()


def test_the_users_limit(monkeypatch):
    monkeypatch.setenv(VARIABLE, " 90 ")
    assert limit() == 90
    monkeypatch.setenv(VARIABLE, "")
    assert limit() is None
