"""A network can do anything while it runs: the command says what it did, or works as it should."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from command_line import one_line_error

from spconvify import save
from spconvify.cli import signals

MODULE = """
import os, sys, threading, time
from paddle import nn
class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2D(1, 16, 3, padding=1), nn.Conv2D(16, 16, 3, padding=1)
    def forward(self, x):
        happens()
        return self.two(self.one(x))
class Strange(BaseException):
    pass
class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")
def happens():
    {what}
"""
CONVERT = ("convert", "w.pdparams", "--input", "1,1,8,8", "--quiet", "--out", "o.pdparams", "--arch")


@pytest.fixture
def network(tmp_path, monkeypatch, request):
    """A module of the current folder that does `what`; gives the value for ``--arch``."""
    monkeypatch.chdir(tmp_path)
    names = []

    def write(what):
        name = f"strange_{abs(hash((what, request.node.name))) % 10**8}"
        Path(f"{name}.py").write_text(MODULE.format(what=what))
        names.append(name)
        environment = {}
        exec(MODULE.format(what="pass"), environment)
        save(environment["Net"](), "w.pdparams")
        return f"{name}:Net"

    yield write
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("sys.exit()", "called sys.exit(); the work isn't done"),
        ("sys.exit(0)", "called sys.exit(0); the work isn't done"),
        (r"sys.exit('many\nlines\x1b[31m')", r"called sys.exit('many\\nlines\\x1b[31m')"),
        (r"raise Strange('many\nlines\x1b[31m')", r"Strange: many lines\x1b[31m"),
        ("raise GeneratorExit", "GeneratorExit"),
    ],
)
def test_what_ends_a_program_ends_no_work_as_a_success(run, network, what, said):
    assert said.replace("\\\\", "\\") in one_line_error(run(*CONVERT, network(what)), 1)
    assert not Path("o.pdparams").exists()


def test_an_error_without_words(run, network):
    error = one_line_error(run(*CONVERT, network("raise Wordless")), 2)
    assert "the network doesn't run on an input of 1x1x8x8: Wordless" in error


@pytest.mark.parametrize("what", ["raise Strange('a')", "raise Wordless", "sys.exit(0)"])
def test_a_factory_that_fails(run, network, what):
    arch = network("pass")
    module = Path(f"{arch.partition(':')[0]}.py")
    module.write_text(module.read_text() + f"\ndef build():\n    {what}\n")
    error = one_line_error(run(*CONVERT, arch.replace("Net", "build")), 2)
    assert "calling it without arguments failed" in error


@pytest.mark.parametrize("force", [False, True])
def test_a_network_that_changes_the_folder(run, network, tmp_path, force):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "o.pdparams").write_text("precious")
    arch = network(f"os.chdir({str(tmp_path / 'elsewhere')!r})")
    code, _, error = run(*CONVERT, arch, "--plot", "o.png", *(["--force"] if force else []))
    assert code == 0, error
    assert (tmp_path / "o.pdparams").is_file()
    assert (tmp_path / "o.png").is_file()
    assert os.listdir(tmp_path / "elsewhere") == ["o.pdparams"]
    assert (tmp_path / "elsewhere" / "o.pdparams").read_text() == "precious"


def test_a_link_that_comes_later_is_not_followed(run, network, tmp_path):
    """To the trained original, for one."""
    target = tmp_path / "w.pdparams"
    arch = network(f"os.path.lexists('o.pdparams') or os.symlink({str(target)!r}, 'o.pdparams')")
    before = target.read_bytes()
    code, _, error = run(*CONVERT, arch, "--force")
    assert code == 0, error
    assert target.read_bytes() == before
    assert not Path("o.pdparams").is_symlink()


def test_a_network_that_sets_the_umask(run, network, monkeypatch):
    umask = os.umask(0o027)
    try:
        code, _, error = run(*CONVERT, network("os.umask(0o777)"))
    finally:
        os.umask(umask)
    assert code == 0, error
    assert stat.S_IMODE(os.stat("o.pdparams").st_mode) == 0o640


def test_threads_that_a_network_leaves_behind(network):
    """Python would wait for them at its end."""
    arch = network("threading.Thread(target=time.sleep, args=(100,)).start()")
    command = [sys.executable, "-W", "error::ResourceWarning", "-m", "spconvify", *CONVERT, arch]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert Path("o.pdparams").is_file()
    assert threading.active_count() < 10
    assert signals.signal_that_came() is None


def test_warnings_that_are_errors(network):
    network("pass")
    command = [sys.executable, "-W", "error", "-m", "spconvify", "verify", "w.pdparams"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
