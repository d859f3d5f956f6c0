"""What lies beside a program and belongs to it."""

import pytest

from spconvify.source.programs.companions import companions
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
