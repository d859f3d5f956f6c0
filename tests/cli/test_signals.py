"""A closed terminal or a `kill` ends the program as Ctrl-C does: tidily."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has other signals")

# Makes a folder as an export does, and tidies up slowly enough for a second signal.
MAKES = """
import shutil, sys, time
from pathlib import Path
from spconvify.cli.signals import end_in_order
from spconvify.files.scratch import scratch_folder
end_in_order()
rmtree = shutil.rmtree
def slow(path, **options):
    print("tidying", flush=True)
    time.sleep(0.5)
    rmtree(path, **options)
shutil.rmtree = slow
with scratch_folder(Path("out")) as folder:
    (folder / "part").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""


def heard():
    """Also where the tests run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def start(folder, before=heard):
    process = subprocess.Popen(
        [sys.executable, "-c", MAKES],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        preexec_fn=before,
    )
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_nothing_is_left_by_a_signal_nor_by_a_second_one(tmp_path, name):
    number = getattr(signal, name)
    with start(tmp_path) as process:
        process.send_signal(number)
        assert process.stdout.readline() == b"tidying\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGHUP)
    assert process.returncode == 128 + number
    assert os.listdir(tmp_path) == []


def test_what_nohup_ignores_stays_ignored(tmp_path):
    with start(tmp_path, lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None
        process.terminate()
        process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert os.listdir(tmp_path) == []
