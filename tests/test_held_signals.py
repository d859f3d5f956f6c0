"""Only the main thread is given a signal to end, whatever handler Paddle has there for a while."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from spconvify.cli import output
from spconvify.held_signals import TO_END, deaf_threads, with_deaf_thread
from spconvify.progress import bar

TASKS = Path("/proc/self/task")
pytestmark = pytest.mark.skipif(not TASKS.exists(), reason="tells what a thread takes")


def heard():
    """Native id of each thread -> the signals to end that it takes."""
    masks = {}
    for task in TASKS.iterdir():
        try:
            lines = (task / "status").read_text().splitlines()
        except OSError:  # it has just ended
            continue
        blocked = int(next(line for line in lines if line.startswith("SigBlk")).split()[1], 16)
        masks[int(task.name)] = {n for n in TO_END if not blocked >> (n - 1) & 1}
    return masks


def new_threads(context):
    before = set(heard())
    with context:
        now = heard()
    assert now[threading.get_native_id()] == set(TO_END)
    return [heard for task, heard in now.items() if task not in before]


def test_the_spinner_and_the_bar_hear_nothing(monkeypatch):
    terminal = Console(stderr=True, force_terminal=True)
    monkeypatch.setattr(output, "stderr", terminal)
    assert new_threads(output.working("loading")) == [set()]
    assert new_threads(output.progress_bar("converting")) == [set()]
    assert new_threads(bar("converting", terminal)) == [set()]


def test_a_signal_comes_at_the_end_of_the_block():
    came = []
    before = signal.signal(signal.SIGTERM, lambda *_: came.append(1))
    try:
        with deaf_threads():
            signal.raise_signal(signal.SIGTERM)  # to this thread
            assert not came
        assert came == [1]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_spinner_is_left_without_interruption():
    """An exception between its last line and the cursor would leave that hidden."""
    done = []

    @contextlib.contextmanager
    def spinner():
        yield
        signal.raise_signal(signal.SIGTERM)  # to this thread
        done.append("cursor")

    def end(*_):
        done.append("end")
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        with pytest.raises(KeyboardInterrupt), with_deaf_thread(spinner()):
            done.append("work")
        assert done == ["work", "cursor", "end"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_commands_are_known_before_numpy_is_loaded():
    """So that its threads can be started deaf, and `--help` hasn't to wait for it."""
    code = "import sys, spconvify.cli; assert not {'numpy', 'paddle'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_programs_threads_hear_nothing():
    """NumPy's algebra starts some when it is loaded."""
    code = (
        "import sys; from spconvify.__main__ import main; sys.argv = ['spconvify', 'inspect', 'no']\n"
        "try: main()\nexcept SystemExit: pass\n"
        "import threading, numpy; from test_held_signals import heard\n"
        "found = heard(); print(len(found), len(found.pop(threading.get_native_id())), *found.values(), "
        "file=sys.stderr)"
    )
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120
    )
    count, own, *others = done.stderr.splitlines()[-1].split()
    assert int(own) == len(TO_END)
    assert others == ["set()"] * (int(count) - 1)
