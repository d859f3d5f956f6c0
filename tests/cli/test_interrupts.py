"""Ctrl-C says "interrupted" and writes nothing, whatever a network makes of it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import interrupted_networks as nets
import pytest

from spconvify import save

ROOT = Path(__file__).parents[2]
INTERRUPTED = "spconvify: error: interrupted\n"
NETWORKS = ["Plain", "CatchesErrors", "MakesAnErrorOfIt", "Swallows", "InACallback", "while_building"]


@pytest.fixture(autouse=True)
def _handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # A job that a shell has started in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(nets.Net(), "w.pdparams")
    return tmp_path


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    "command",
    [
        ["convert", "w.pdparams", "--input", "1,3,16,16", "--out", "sp.pdparams"],
        ["report", "w.pdparams", "--input", "1,3,16,16", "--no-latency"],
        ["export", "w.pdparams", "--input", "1,3,16,16", "--no-tune", "--out", "deploy"],
    ],
    ids=lambda command: command[0],
)
def test_the_network_is_never_blamed(run, folder, command, network):
    result = run(*command, "--arch", f"interrupted_networks:{network}")
    assert result == (130, "", INTERRUPTED)
    assert os.listdir(folder) == ["w.pdparams"]


def test_told_to_end_while_a_network_is_built(run, folder):
    result = run("report", "w.pdparams", "--no-latency", "--arch", "interrupted_networks:told_to_end")
    assert result == (128 + signal.SIGTERM, "", "")


def test_an_earlier_interrupt_is_forgotten(run, folder):
    arch = ("--arch", "interrupted_networks:Plain", "--input", "1,3,16,16")
    assert run("report", "w.pdparams", "--no-latency", *arch)[0] == 130
    arch = ("--arch", "interrupted_networks:Net", "--input", "1,3,16,16")
    assert run("report", "w.pdparams", "--no-latency", *arch)[0] == 0


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.3, 0.6, 0.9, 1.3, 1.8, 2.5, 3.5, 5.0])
def test_at_any_moment(tmp_path, after):
    """To the whole group, as a terminal does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "spconvify", "report", "resnet20"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in errors
    if process.returncode == 130:
        assert errors.endswith(INTERRUPTED)
