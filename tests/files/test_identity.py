"""A run's own file: replaced and removed as long as it is that one."""

import os

import pytest

from spconvify.files import renaming
from spconvify.files.identity import OwnFile, identity_at
from spconvify.files.scratch import atomic


@pytest.fixture(params=["exchange", "no exchange"])
def system(request, monkeypatch):
    if request.param == "no exchange":
        monkeypatch.setattr(renaming, "exchange", lambda *_: False)


def written(path, text, known=None):
    with atomic(path, known=known) as file:
        file.write(text)


def test_only_the_known_file_is_replaced(tmp_path, system):
    path = tmp_path / "own"
    written(path, b"one")
    written(path, b"two", identity_at(path))
    assert path.read_bytes() == b"two"
    known = identity_at(path)
    os.replace(path, tmp_path / "moved")
    path.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        written(path, b"three", known)
    assert path.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["moved", "own"]


def test_what_comes_in_the_last_moment_is_given_back(tmp_path, monkeypatch):
    path = tmp_path / "own"
    written(path, b"one")
    known, exchange = identity_at(path), renaming.exchange

    def late(source, target):
        monkeypatch.setattr(renaming, "exchange", exchange)
        os.replace(path, tmp_path / "moved")
        path.write_bytes(b"precious")
        return exchange(source, target)

    monkeypatch.setattr(renaming, "exchange", late)
    with pytest.raises(FileExistsError):
        written(path, b"two", known)
    assert path.read_bytes() == b"precious"
    assert sorted(os.listdir(tmp_path)) == ["moved", "own"]


@pytest.mark.parametrize("what", ["file", "link"])
def test_only_the_own_file_is_removed(tmp_path, what):
    path, other = tmp_path / "own", tmp_path / "other"
    own = OwnFile(path, path)
    other.write_text("precious")
    path.write_text("mine")
    own.take()
    assert own.is_there()
    assert own.remove()
    assert not path.exists()
    assert own.remove()
    path.write_text("mine")
    own.take()
    path.unlink()
    if what == "file":
        path.write_text("precious")
    else:
        path.symlink_to(other)
    assert not own.remove()
    assert path.read_text() == "precious"
