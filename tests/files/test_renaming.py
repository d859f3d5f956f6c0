"""A name is given once: what is there already stays, on every kind of file system."""

import errno
import os
import sys

import pytest

from spconvify.files import renaming
from spconvify.files.renaming import exchange, rename_new, sync

# What file systems can: all in one step; links and empty folders; not even links (FAT).
KINDS = ["renameat2", "links", "nothing"]


@pytest.fixture(params=KINDS)
def file_system(request, monkeypatch):
    if request.param != "renameat2":
        monkeypatch.setattr(renaming, "_renameat2", lambda *_: errno.EINVAL)
    if request.param == "nothing":

        def no_links(*_):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
    return request.param


def make(path, kind):
    if kind == "file":
        path.write_text(path.name)
    else:
        path.mkdir()
        (path / "in").write_text(path.name)


def content(path):
    return (path / "in" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_new_name(tmp_path, file_system, kind):
    make(tmp_path / "made", kind)
    rename_new(tmp_path / "made", tmp_path / "target")
    assert os.listdir(tmp_path) == ["target"]
    assert content(tmp_path / "target") == "made"


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("there", ["file", "folder", "empty folder", "link", "dangling link", "fifo"])
def test_a_name_that_is_taken(tmp_path, file_system, kind, there):
    make(tmp_path / "made", kind)
    target = tmp_path / "target"
    {
        "file": lambda: make(target, "file"),
        "folder": lambda: make(target, "folder"),
        "empty folder": target.mkdir,
        "link": lambda: target.symlink_to(tmp_path / "made"),
        "dangling link": lambda: target.symlink_to(tmp_path / "nowhere"),
        "fifo": lambda: os.mkfifo(target),
    }[there]()
    before = target.lstat()
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "made", target)
    assert sorted(os.listdir(tmp_path)) == ["made", "target"]
    assert os.path.samestat(target.lstat(), before)
    assert content(tmp_path / "made") == "made"


def test_what_comes_between_two_steps_stays(tmp_path, monkeypatch):
    """Where a folder's name is taken with an empty one first, or a file's with an empty file."""
    monkeypatch.setattr(renaming, "_renameat2", lambda *_: errno.ENOSYS)
    make(tmp_path / "made", "folder")
    rename = os.rename

    def late(source, target):
        (target / "thesis").write_text("years")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "made", tmp_path / "target")
    assert os.listdir(tmp_path / "target") == ["thesis"]
    assert content(tmp_path / "made") == "made"


def test_a_failure_leaves_no_empty_file(tmp_path, monkeypatch):
    monkeypatch.setattr(renaming, "_renameat2", lambda *_: errno.EINVAL)

    def fails(*_):
        raise OSError(errno.EIO, "Input/output error")

    for call in ("link", "replace", "rename"):
        monkeypatch.setattr(os, call, fails)
    for kind in ("file", "folder"):
        make(tmp_path / kind, kind)
        with pytest.raises(OSError, match="Input/output error"):
            rename_new(tmp_path / kind, tmp_path / "target")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_exchange(tmp_path):
    make(tmp_path / "a", "folder")
    make(tmp_path / "b", "folder")
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system can't")
    assert (content(tmp_path / "a"), content(tmp_path / "b")) == ("b", "a")
    assert not exchange(tmp_path / "a", tmp_path / "nowhere")


def test_sync_of_a_folder_on_a_file_system_that_knows_none(tmp_path, monkeypatch):
    number = errno.EINVAL

    def fails(_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    sync(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Invalid argument"):
        sync(tmp_path / "file")
    number = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        sync(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux has the call")
def test_the_tests_above_try_the_call_itself(tmp_path):
    make(tmp_path / "made", "file")
    assert renaming._renameat2(tmp_path / "made", tmp_path / "target", 1) in (0, errno.EINVAL)
