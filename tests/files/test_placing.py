"""A folder takes the place of another: whole, with its owner and modes, and nothing else is lost."""

import errno
import os
import stat

import pytest

from spconvify.files import placing, renaming
from spconvify.files.placing import put_folder
from spconvify.files.scratch import scratch_folder


def anything(_):
    """A check that lets every folder be replaced."""


def put(target, files, check=None):
    with scratch_folder(target) as folder:
        for name in files:
            (folder / name).write_text(name)
        put_folder(folder, target, check)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=["exchange", "one by one"])
def system(request, monkeypatch):
    if request.param == "one by one":
        monkeypatch.setattr(placing, "exchange", lambda *_: False)


def test_a_folder_takes_the_place_of_another(tmp_path, system):
    for name in ("old", "new"):
        put(tmp_path / "out", [name], anything)
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(tmp_path / "out") == ["new"]
    os.umask(mask := os.umask(0))
    assert mode(tmp_path / "out") == 0o777 & ~mask


def test_modes_are_kept(tmp_path, system):
    target = tmp_path / "out"
    put(target, ["both", "old"])
    target.chmod(0o700)
    (target / "both").chmod(0o400)
    put(target, ["both", "new"], anything)
    assert mode(target) == 0o700
    assert mode(target / "both") == 0o400
    os.umask(mask := os.umask(0))
    assert mode(target / "new") == 0o666 & ~mask


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_owners_are_kept(tmp_path):
    target = tmp_path / "out"
    put(target, ["file"])
    for path in (target, target / "file"):
        os.chown(path, 12345, 23456)
    put(target, ["file"], anything)
    for path in (target, target / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_a_folder_gets_the_group_bit_of_its_own(tmp_path):
    tmp_path.chmod(0o2755)
    put(tmp_path / "out", [])
    assert (tmp_path / "out").stat().st_mode & stat.S_ISGID


@pytest.mark.parametrize("there", ["folder", "empty folder", "file", "link"])
def test_without_a_check_nothing_is_replaced(tmp_path, there):
    target = tmp_path / "out"
    if there == "file":
        target.write_text("years")
    elif there == "link":
        target.symlink_to(tmp_path)
    else:
        target.mkdir()
        if there == "folder":
            (target / "thesis").write_text("years")
    before = target.lstat()
    with pytest.raises(FileExistsError):
        put(target, ["new"])
    assert os.listdir(tmp_path) == ["out"]
    assert os.path.samestat(target.lstat(), before)


def test_what_comes_after_the_first_look_is_given_back(tmp_path, system):
    """The second look is at the folder that nobody finds by its name any more."""
    target = tmp_path / "out"
    put(target, ["old"])
    looks = []

    def check(folder):
        looks.append(folder)
        if len(looks) == 1:
            (folder / "thesis").write_text("years")
        elif (folder / "thesis").exists():
            raise ValueError("thesis")

    with pytest.raises(ValueError, match="thesis"):
        put(target, ["new"], check)
    assert looks[0] == target != looks[1]
    assert os.listdir(tmp_path) == ["out"]
    assert sorted(os.listdir(target)) == ["old", "thesis"]


def test_what_can_not_be_given_back_is_named_and_kept(tmp_path, monkeypatch):
    target = tmp_path / "out"
    put(target, ["old"])
    monkeypatch.setattr(placing, "exchange", lambda *_: False)

    def check(folder):
        if folder != target:
            target.mkdir()  # somebody is faster
            raise ValueError

    with pytest.raises(OSError, match=r"File exists; what was there is .*out.*\.old now"):
        put(target, ["new"], check)
    (kept,) = (path for path in tmp_path.iterdir() if path != target)
    assert os.listdir(kept) == ["old"]
    assert os.listdir(target) == []


def test_a_folder_that_can_not_be_put_in_place_leaves_the_old_one(tmp_path, monkeypatch, system):
    target = tmp_path / "out"
    put(target, ["old"])
    rename, calls = renaming.rename_new, []

    def second_fails(source, to):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, to)

    monkeypatch.setattr(placing, "exchange", lambda *_: False)
    monkeypatch.setattr(placing, "rename_new", second_fails)
    with pytest.raises(OSError, match="No space left"):
        put(target, ["new"], anything)
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(target) == ["old"]


def test_all_of_it_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def noted(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def named(source, target):
        synced.append("named")
        renaming.rename_new(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(placing, "rename_new", named)
    put(tmp_path / "out", ["a", "b"])
    before, after = synced[: synced.index("named")], synced[synced.index("named") + 1 :]
    wanted = {(tmp_path / "out" / name).stat().st_ino for name in ("a", "b", ".")}
    assert wanted <= set(before)
    assert after == [tmp_path.stat().st_ino]
