"""Places where nothing can be written, or where that would destroy something, are found at the start."""

import os
import stat
from pathlib import Path

import pytest

from spconvify import ArgumentError
from spconvify.files import places
from spconvify.files.places import (
    check_folder_to_fill,
    check_is_in_no_input,
    check_is_no_input,
    check_place,
    place_of,
)


def test_a_place_on_its_own_path(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "link")
    real = tmp_path.resolve() / "real"
    assert place_of(Path("out")) == real / "out"
    assert place_of(tmp_path / "link" / "out") == real / "out"
    assert place_of(Path("../link")) == tmp_path.resolve() / "link"  # the last one isn't followed
    assert (place_of(Path()), place_of(Path(".."))) == (real, tmp_path.resolve())


def test_places_that_can_be_written_to(tmp_path):
    (tmp_path / "there").touch()
    for name in ("there", "new"):
        check_place(tmp_path / name, "output")
    check_folder_to_fill(tmp_path / "a" / "b", "log_dir")
    assert os.listdir(tmp_path) == ["there"]


@pytest.mark.parametrize(
    ("number", "message"),
    [(30, "Read-only file system"), (28, "No space left"), (122, "Disk quota exceeded"), (13, "denied")],
)
def test_a_folder_that_can_not_be_written_to(tmp_path, monkeypatch, number, message):
    def fails(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", fails)
    for check, name in ((check_place, "new"), (check_folder_to_fill, "a/b")):
        with pytest.raises(
            ArgumentError, match=f"output: the folder .* can't be written to: .*{message}"
        ):
            check(tmp_path / name, "output")


def test_a_folder_that_is_not_there_or_is_a_file(tmp_path):
    with pytest.raises(ArgumentError, match="nowhere doesn't exist; create it first"):
        check_place(tmp_path / "nowhere" / "new", "output")
    (tmp_path / "file").touch()
    with pytest.raises(ArgumentError, match="file isn't a folder"):
        check_folder_to_fill(tmp_path / "file" / "new", "log_dir")


def test_mount_points_of_the_same_disk_too(tmp_path, monkeypatch):
    (tmp_path / "with space").mkdir()
    table = tmp_path / "mountinfo"
    place = str(tmp_path.resolve() / "with space").replace(" ", r"\040")
    table.write_text(f"36 35 98:0 /mnt1 {place} rw,noatime - ext3 /dev/root rw\n")
    monkeypatch.setattr(places, "_MOUNTS", table)
    with pytest.raises(ArgumentError, match="output is a mount point"):
        check_place(tmp_path / "with space", "output")
    check_place(table, "output")
    table.unlink()  # another system
    check_place(tmp_path / "with space", "output")
    with pytest.raises(ArgumentError, match="is a mount point"):
        check_place(Path("/"), "output")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners here")
def test_what_others_have_in_a_folder_of_everybody(tmp_path, monkeypatch):
    tmp_path.chmod(0o1777)
    (tmp_path / "theirs").touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1 + tmp_path.stat().st_uid)
    with pytest.raises(ArgumentError, match="output belongs to another user"):
        check_place(tmp_path / "theirs", "output")
    check_place(tmp_path / "new", "output")
    tmp_path.chmod(0o777)
    check_place(tmp_path / "theirs", "output")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o777


@pytest.fixture
def images(tmp_path):
    """A folder with a picture in a folder, one that a link leads to, and links that lead back."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images" / "cats").mkdir(parents=True)
    for path in ("images/cats/1.png", "elsewhere/2.png", "elsewhere/3.png", "model.pdparams"):
        (tmp_path / path).write_text("precious")
    (tmp_path / "images" / "dogs").symlink_to(tmp_path / "elsewhere")
    for name in ("back", "again", "and again"):  # followed again and again, these have no end
        (tmp_path / "images" / name).symlink_to(tmp_path / "images")
    return tmp_path / "images"


def test_no_input_is_an_output(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = Path("model.pdparams")
    (tmp_path / "link.pdparams").symlink_to(model)
    os.link(model, "hard.pdparams")
    inputs = {"the checkpoint": "model.pdparams", "--calibration": images, "--eval": None}
    same = [
        "model.pdparams", tmp_path / "model.pdparams", "images/../model.pdparams", "link.pdparams",
        "hard.pdparams", "images",
    ]  # fmt: skip
    for path in same:
        with pytest.raises(ArgumentError, match=r"output is the same file as .*must not be replaced"):
            check_is_no_input(Path(path), "output", inputs)
    check_is_no_input(Path("new.pdparams"), "output", inputs)


def test_no_picture_of_an_input_is_replaced(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = {"the checkpoint": "model.pdparams", "--calibration": images, "--eval": None}
    for path in ("images/cats/1.png", "elsewhere/2.png", "images/dogs/3.png"):
        with pytest.raises(ArgumentError, match="output is one of the files of --calibration"):
            check_is_in_no_input(Path(path), "output", inputs)
    for path in ("model.pdparams", "images/new.png"):
        check_is_in_no_input(Path(path), "output", inputs)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no owners here")
def test_a_file_that_nobody_may_replace(tmp_path, monkeypatch):
    (tmp_path / "there").touch(0o644)
    monkeypatch.setattr(os, "access", lambda *_: False)  # as after chattr +i
    with pytest.raises(ArgumentError, match="output is immutable"):
        check_place(tmp_path / "there", "output")
    (tmp_path / "there").chmod(0o444)
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "there").stat().st_uid or 1)
    monkeypatch.setattr(places, "_is_anothers", lambda _: False)
    check_place(tmp_path / "there", "output")


def test_what_will_be_one_file_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ArgumentError, match="is the same file as --checkpoint link/new"):
        check_is_no_input(Path("new"), "output", {"--checkpoint": "link/new"})
