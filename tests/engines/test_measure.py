"""Measuring: fresh processes that take turns, always end, and say what went wrong in them."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import networks as nets
import pytest

from spconvify import ArgumentError, EngineError, convert
from spconvify.engines import Latency, measure, speedup
from spconvify.engines.eager import ENGINE
from spconvify.engines.measure import ROUNDS, _take_turns
from spconvify.engines.process import MKL_VARIABLE, Worker, environment
from spconvify.engines.worker import block, runs_in
from spconvify.imports import full_path

SHAPE = (2, 3, 16, 16)
JOB = {"engine": "eager", "input_shape": SHAPE, "threads": 1, "device": "cpu"}


class Chatty(nets.PlainNet):
    """Prints what looks like an answer, from Python and past it."""

    def forward(self, x):
        print('{"answer": 1}')
        os.write(1, b'{"answer": 1}\n')
        return nets.PlainNet.forward(self, x)


class DiesInForward(nets.PlainNet):
    def forward(self, x):
        # What an OpenCV says that was built for another NumPy; it has nothing to do with it.
        print(
            "RuntimeError: module compiled against ABI version 0x1 of numpy", file=sys.stderr, flush=True
        )
        os.kill(os.getpid(), signal.SIGKILL)


class RaisesInForward(nets.PlainNet):
    def forward(self, x):
        raise ValueError("no way")


def eager_worker(network, folder):
    ENGINE.write(network, folder, SHAPE)
    return Worker({**JOB, "folder": str(folder)}, "before")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The folder in which temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("engine", ["eager", "inference"])
def test_measures_in_fresh_processes(engine, monkeypatch, tmp_path, temporary):
    for name in ("random", "numpy", "json"):  # in the user's folder; not meant for us
        (tmp_path / f"{name}.py").write_text("raise SystemError('shadowed')")
    monkeypatch.chdir(tmp_path)
    model, done = Chatty(), []
    result = measure(
        {"before": model, "after": convert(nets.PlainNet())},
        SHAPE,
        engine=engine,
        seconds=0.02,
        progress=lambda *step: done.append(step),
    )
    for latency in result.values():
        assert 0 < latency.p10 <= latency.median <= latency.p90 < 1000
        assert latency.runs >= ROUNDS
    assert done == [(turn + 1, ROUNDS) for turn in range(ROUNDS)]
    assert os.listdir(temporary) == []


def test_all_are_loaded_before_the_first_runs_and_then_take_turns(monkeypatch, temporary):
    log = []

    class Fake:
        def __init__(self, job, name):
            self.name = name
            assert os.listdir(job["folder"]) == ["network"]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            log.append(("end", self.name))

        def wait_until_loaded(self):
            log.append(("load", self.name))

        def warm_up(self, seconds):
            log.append(("warm up", self.name))
            return 4

        def run(self, runs):
            log.append(("run", self.name))
            return [1.0] * runs

    def hand_over(engine, network, folder, shape):
        (folder / "network").touch()

    module = sys.modules["spconvify.engines.measure"]  # the function has its name
    monkeypatch.setattr(module, "Worker", Fake)
    monkeypatch.setattr(module, "hand_over", hand_over)
    result = measure({"a": None, "b": None}, SHAPE)
    turns = [("run", "a"), ("run", "b")] * ROUNDS
    assert log == [
        *[("load", "a"), ("load", "b"), ("warm up", "a"), ("warm up", "b")],
        *turns,
        *[("end", "b"), ("end", "a")],
    ]
    assert result["a"] == Latency(1.0, 1.0, 1.0, 4 * ROUNDS)
    log.clear()

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure({"a": None, "b": None}, SHAPE, progress=interrupt)
    assert log[-2:] == [("end", "b"), ("end", "a")]
    assert os.listdir(temporary) == []


def test_the_first_run_of_a_turn_is_not_timed():
    calls = []
    assert len(block(lambda: calls.append(1), 5)) == 5
    assert len(calls) == 6
    assert len(block(lambda: calls.append(1), 1)) == 1  # a long run: it doesn't matter there
    assert len(calls) == 7


def test_a_slow_network_is_run_a_few_times_only():
    calls = []
    assert runs_in(lambda: calls.append(1), 0.0) == 1
    assert len(calls) == 3
    assert runs_in(lambda: None, 0.01) > 100


def test_a_network_that_raises(tmp_path):
    with eager_worker(RaisesInForward(), tmp_path) as worker:
        worker.wait_until_loaded()
        with pytest.raises(EngineError, match=r"network 'before' failed: ValueError: no way$"):
            worker.warm_up(0.01)
    assert worker._process.poll() is not None


def test_a_process_that_is_killed(tmp_path):
    with eager_worker(DiesInForward(), tmp_path) as worker:
        worker.wait_until_loaded()
        with pytest.raises(EngineError, match=r"ended by SIGKILL \(not enough memory\?\)"):
            worker.warm_up(0.01)
        with pytest.raises(EngineError, match="SIGKILL"):  # whoever asks again
            worker.warm_up(0.01)


def test_a_process_that_does_not_get_as_far_as_its_network(tmp_path, monkeypatch):
    (tmp_path / "network.pickle").write_bytes(b"cbroken\nNetwork\n.")
    (tmp_path / "broken.py").write_text("raise SystemError('broken')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with Worker({**JOB, "folder": str(tmp_path)}, "before") as worker:
        with pytest.raises(EngineError, match="failed: SystemError: broken"):
            worker.wait_until_loaded()


def test_processes_end_with_an_exception(tmp_path):
    with pytest.raises(KeyboardInterrupt), eager_worker(nets.PlainNet(), tmp_path) as worker:
        raise KeyboardInterrupt
    assert worker._process.poll() == -signal.SIGKILL


def test_a_process_ends_with_its_parent(tmp_path):
    with eager_worker(nets.PlainNet(), tmp_path) as worker:
        worker.wait_until_loaded()
        worker._process.stdin.close()  # as the system does when the parent is killed
        assert worker._process.wait(timeout=20) == 0
        worker._process.stdin = None


on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its kernel does it")
CHILD_ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(full_path())}
SLOW_TO_LOAD = """
import os, pathlib, time
pathlib.Path("pid.part").write_text(str(os.getpid()))
os.rename("pid.part", "pid")
time.sleep(60)
"""
PARENT = """
import sys
from spconvify.engines.process import Worker
job = {"engine": "eager", "folder": sys.argv[1], "input_shape": [1], "threads": 1, "device": "cpu"}
with Worker(job, "slow") as worker:
    worker.wait_until_loaded()
"""


@on_linux
def test_a_process_that_is_still_loading_ends_with_its_parent(tmp_path):
    (tmp_path / "slow.py").write_text(SLOW_TO_LOAD)
    (tmp_path / "network.pickle").write_bytes(b"cslow\nNetwork\n.")
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, cwd=tmp_path, env=CHILD_ENVIRONMENT) as parent:
        worker = wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        assert not has_ended(worker)
        parent.kill()
    assert wait_for(lambda: has_ended(worker), seconds=10)


def wait_for(condition, seconds=60):
    """What `condition` returns when that is true, or the last it has returned."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def has_ended(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"  # whoever inherited it hasn't looked yet


@on_linux
def test_a_child_whose_parent_has_ended_before_it_starts():
    code = "from spconvify.engines.children import end_with; end_with(-1); print('lives')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=CHILD_ENVIRONMENT)
    assert (done.returncode, done.stdout) == (1, b"")


def test_environment_of_a_process(monkeypatch):
    monkeypatch.setenv(MKL_VARIABLE, "5")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    variables = environment(2)
    assert variables["OMP_NUM_THREADS"] == variables["MKL_NUM_THREADS"] == "2"
    assert MKL_VARIABLE not in variables


def test_a_process_keeps_its_memory(monkeypatch):
    flag = "FLAGS_eager_delete_tensor_gb"
    assert environment(1)[flag] == "-1"
    assert flag not in environment(1, "gpu:0")  # whose memory is dear
    monkeypatch.setenv(flag, "0")  # as Paddle has it: the user knows better
    assert environment(1)[flag] == "0"


def test_no_threads():
    with pytest.raises(ArgumentError, match="threads 0 is less than 1"):
        measure({}, SHAPE, threads=0)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((10, 9, 11), (5, 4, 6), 2.0),
        ((5, 4, 6), (10, 9, 11), 0.5),
        ((10, 8, 12), (7, 5, 8), None),
        ((10, 8, 12), (9.9, 9.8, 10), None),
    ],
)
def test_overlapping_intervals_claim_nothing(before, after, expected):
    assert speedup(Latency(*before, 10), Latency(*after, 10)) == expected


def test_latency_summarises():
    assert Latency.of(range(101)) == Latency(50, 10, 90, 101)
    assert _take_turns({}, 0.1, None) == {}
