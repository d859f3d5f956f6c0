"""Opening what may be anything: a FIFO, a device or a folder is refused at once, not waited for."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from spconvify import CheckpointError
from spconvify.checkpoint import read_state
from spconvify.files.regular import CAREFUL, NotRegularError, open_regular, open_to_lock


@pytest.fixture(params=["fifo", "device", "folder", "socket", "link to a fifo"])
def odd(request, tmp_path):
    path = tmp_path / "odd"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        os.mkfifo(tmp_path / "fifo")
        path.symlink_to(tmp_path / "fifo")
    return path


def test_only_regular_files_are_opened(odd, tmp_path):
    with pytest.raises((NotRegularError, OSError)):
        open_regular(odd)
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"text"


def test_a_checkpoint_that_is_exchanged_after_the_check(odd, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    monkeypatch.setattr(Path, "is_dir", lambda path: False)
    with pytest.raises(CheckpointError, match=r"can't read .*odd: \S+"):
        read_state(odd)


@pytest.mark.parametrize("opened", [open_regular, open_to_lock])
@pytest.mark.parametrize("kind", ["fifo", "terminal"])
def test_what_is_not_regular_is_looked_at_and_not_opened(tmp_path, monkeypatch, opened, kind):
    path = tmp_path / "odd"
    master, slave = os.openpty()
    if kind == "fifo":
        os.mkfifo(path)
    elif opened is open_regular:
        path.symlink_to(os.ttyname(slave))
    else:
        path = Path(os.ttyname(slave))
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    try:
        with pytest.raises(NotRegularError, match="isn't a regular file"):
            opened(path)
    finally:
        os.close(master)
        os.close(slave)


_LATE = """
import os, stat, sys
from pathlib import Path
from types import SimpleNamespace
from spconvify.files import regular
harmless = os.stat(os.getcwd() + "/file")
os.stat = lambda *_, **__: harmless
Path.lstat = lambda path: harmless
for opened in (regular.open_regular, regular.open_to_lock):
    try:
        opened(Path(sys.argv[1]))
    except regular.NotRegularError:
        print("refused", open("/proc/self/stat").read().rpartition(")")[2].split()[4])
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="tells the terminal")
def test_a_terminal_that_comes_after_the_look_is_not_taken(tmp_path):
    """A session without a terminal would get that one, and the Ctrl-C that is typed there."""
    (tmp_path / "file").touch()
    master, slave = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LATE, os.ttyname(slave)],
            cwd=tmp_path, start_new_session=True, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(slave)
    assert done.stdout == "refused 0\nrefused 0\n", done.stderr


def test_a_sweep_takes_no_terminal():
    assert CAREFUL & os.O_NOCTTY
    assert CAREFUL & os.O_NONBLOCK
