"""Opening what may be anything: a FIFO, a device or a folder is refused at once, not waited for."""

import os
import socket
from pathlib import Path

import pytest

from spconvify import CheckpointError
from spconvify.checkpoint import read_state
from spconvify.files.regular import NotRegularError, open_regular


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
