"""A program is found from any of its files, their prefix, or its folder."""

import pytest

import spconvify
from spconvify.errors import ArgumentError, CheckpointError
from spconvify.source.programs.files import ProgramFiles, program_files


def fill(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize("stem", ["inference", "net.v1", "ü net", ".hidden"])
@pytest.mark.parametrize("suffix", [".json", ".pdmodel"])
def test_every_way_to_name_it(tmp_path, stem, suffix):
    folder = fill(tmp_path / "f", stem + suffix, f"{stem}.pdiparams", f"{stem}.pdiparams.info", "a.yml")
    expected = ProgramFiles(folder / (stem + suffix), folder / f"{stem}.pdiparams")
    for end in (suffix, "", ".pdiparams", ".pdiparams.info"):
        assert program_files(folder / (stem + end)) == expected, end
    assert program_files(folder) == program_files(f"{folder}/") == expected
    assert expected.names.name == f"{stem}.pdiparams.info"
    assert expected.is_json == (suffix == ".json")


def test_two_programs_in_a_folder(tmp_path):
    folder = fill(tmp_path / "f", "a.json", "a.pdiparams", "b.pdmodel", "b.pdiparams")
    with pytest.raises(CheckpointError, match=r"holds 2 programs; name one: .*a\.json or .*b\.pdmodel"):
        program_files(folder)
    assert program_files(folder / "b").program.name == "b.pdmodel"


def test_one_in_both_formats_is_the_newer(tmp_path):
    folder = fill(tmp_path / "f", "a.json", "a.pdmodel", "a.pdiparams")
    assert program_files(folder).program.name == program_files(folder / "a").program.name == "a.json"
    assert program_files(folder / "a.pdmodel").program.name == "a.pdmodel"


def test_parameters_that_are_missing(tmp_path):
    folder = fill(tmp_path / "f", "a.pdmodel")
    with pytest.raises(CheckpointError, match=r"a\.pdiparams isn't beside it"):
        program_files(folder / "a.pdmodel")
    assert program_files(folder) is None


@pytest.mark.parametrize("name", ["b.json", "b", "a.yml", "a.pdparams", "nothing", "a/b", "f", ""])
def test_what_is_no_program(tmp_path, name, monkeypatch):
    monkeypatch.chdir(fill(tmp_path / "f", "b.json", "a.yml", "a.pdparams", "c.pdiparams"))
    assert program_files(name or ".") is None


def test_parameters_alone_are_no_network(tmp_path):
    folder = fill(tmp_path / "f", "c.pdiparams")
    with pytest.raises((CheckpointError, ArgumentError), match=r"c\.pdiparams"):
        spconvify.load(folder / "c.pdiparams")


def test_a_name_for_tables(tmp_path):
    assert ProgramFiles(tmp_path / "det" / "inference.json", tmp_path).said == "det/inference"
