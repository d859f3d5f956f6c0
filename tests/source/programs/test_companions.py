"""What lies beside a program and belongs to it."""

import os

import pytest

from spconvify.errors import EngineError
from spconvify.source.programs import companions as module
from spconvify.source.programs.companions import companions, read_companions
from spconvify.source.programs.files import ProgramFiles


@pytest.fixture
def files(tmp_path):
    found = ProgramFiles(tmp_path / "net.json", tmp_path / "net.pdiparams")
    for path in (found.program, found.parameters):
        path.write_text("x")
    return found


def names(files):
    return [path.name for path in companions(files)]


def test_settings_and_tables_alone(files, tmp_path):
    own = ("inference.yml", "a.yaml", "labels.txt", "config.json")
    for name in (*own, "run.sh", "a.pdparams", ".x.yml"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder.yml").mkdir()
    (tmp_path / "link.txt").symlink_to("/etc/passwd")
    assert names(files) == sorted(own)


def test_no_other_program_and_no_manifest_of_ours(files, tmp_path):
    for name in ("other.json", "other.pdiparams", "manifest.json"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "third.json").write_text('{"base_code": {"magic": "pir"}}')
    assert names(files) == []


def test_nothing_large(files, tmp_path):
    with (tmp_path / "large.txt").open("wb") as file:
        file.truncate((16 << 20) + 1)
    assert names(files) == []


def test_a_folder_of_many_things_is_not_the_programs_own(files, tmp_path):
    for number in range(32):
        (tmp_path / f"{number}.txt").write_text("x")
    assert len(names(files)) == 32
    (tmp_path / "more.txt").write_text("x")
    assert names(files) == []


def test_contents(files, tmp_path):
    (tmp_path / "a.yml").write_text("x: 1\n")
    assert read_companions(files) == {"a.yml": b"x: 1\n"}


def test_one_that_goes_or_becomes_something_else(files, tmp_path, monkeypatch):
    gone, fifo = tmp_path / "a.yml", tmp_path / "b.yml"
    os.mkfifo(fifo)
    for path in (gone, fifo):
        monkeypatch.setattr(module, "companions", lambda files, path=path: [path])
        with pytest.raises(EngineError, match=rf"can't carry over .*{path.name}.*; mend that, or move"):
            read_companions(files)


def test_a_name_that_no_manifest_can_hold(files, tmp_path):
    open(os.fsencode(tmp_path) + b"/\xff.yml", "wb").close()
    with pytest.raises(EngineError, match="its name isn't UTF-8"):
        read_companions(files)
