"""The commands on an exported program: from its folder to a folder of the same kind."""

import json
import os

import numpy as np
import paddle
import pytest
from command_line import one_line_error
from exported_networks import write, write_two_inputs
from sized_networks import Pyramid

import spconvify
from spconvify import zoo
from spconvify.source.programs.files import program_files
from spconvify.source.programs.reading import read_program


@pytest.fixture
def program(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paddle.seed(5)
    model = zoo.find("resnet20", 10).build()
    model.eval()
    path = write(model, tmp_path / "net" / "inference", (-1, 3, -1, -1))
    (path.parent / "inference.yml").write_text("PreProcess: []\n")
    return path


def test_a_folder_becomes_a_folder(run, program, tmp_path):
    code, out, error = run("convert", "net", "--fusion", "sum", "--out", "slim/")
    assert code == 0, error
    assert "saved slim" in error
    assert "16 of 19 convolutions converted" in out or "convolutions converted" in out
    slim = tmp_path / "slim"
    assert {"inference.yml", program.name, "inference.pdiparams", "manifest.json"} == {
        path.name for path in slim.iterdir()
    }
    old, new = (read_program(program_files(folder))[0] for folder in ("net", "slim"))
    for before, after in ((old.feeds, new.feeds), (old.fetches, new.fetches)):
        assert [item.name for item in before] == [item.name for item in after]
    assert [feed.shape for feed in old.feeds] == [feed.shape for feed in new.feeds] == [(-1, 3, -1, -1)]
    networks = [spconvify.load(folder) for folder in ("net", "slim")]
    for size in ((1, 3, 64, 64), (2, 3, 33, 50)):
        before, after = (network(paddle.ones(size)) for network in networks)
        assert before.shape == after.shape


def test_nothing_is_replaced_that_it_did_not_write(run, program, tmp_path):
    for out, text in (("net", "holds the program itself"), ("other", "isn't from an earlier export")):
        (tmp_path / "other").mkdir(exist_ok=True)
        (tmp_path / "other" / "mine.yml").write_text("x")
        assert text in one_line_error(run("convert", "net", "--out", out, "--force"), 2)
    assert run("convert", "net", "--fusion", "sum", "--out", "slim")[0] == 0
    assert "slim exists" in one_line_error(run("convert", "net", "--out", "slim"), 2)
    (tmp_path / "slim" / "inference.yml").write_text("changed by somebody\n")
    assert "inference.yml" in one_line_error(run("convert", "net", "--out", "slim", "--force"), 2)
    assert (tmp_path / "slim" / "inference.yml").read_text() == "changed by somebody\n"


def test_a_checkpoint_to_train_on(run, program):
    assert run("convert", "net", "--fusion", "sum", "--out", "sp.pdparams")[0] == 0
    code, out, error = run("report", "sp.pdparams", "--arch", "net", "--no-latency", "--format", "json")
    assert code == 0, error
    assert json.loads(out)["after"]["macs"] < json.loads(out)["before"]["macs"]


def test_a_checkpoint_of_a_program_is_known_by_its_keys_or_its_teacher(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    write(Pyramid(), tmp_path / "net" / "inference", (-1, 3, -1, -1))
    code, _, error = run("convert", "net", "--out", "sp.pdparams")
    assert code == 0
    assert "don't tell which network it is: load it with --arch" in error
    if not paddle.__version__.startswith("2."):  # whose programs keep the network's own names
        assert "named: --arch PROGRAM" in one_line_error(run("inspect", "sp.pdparams"), 1)
    np.save("images.npy", np.zeros((8, 16, 16, 3), "uint8"))
    options = ("--teacher", "net", "--data", "images.npy", "--steps", 1, "--batch-size", 2)
    error = one_line_error(run("recover", "sp.pdparams", *options), 1)
    assert "if it was converted from the teacher, name that: --arch net" in error
    assert run("recover", "sp.pdparams", *options, "--arch", "net")[0] == 0


def test_several_inputs(run, tmp_path, monkeypatch):
    """A picture is asked for and shown; what else the program takes goes with it."""
    monkeypatch.chdir(tmp_path)
    write_two_inputs(tmp_path / "net" / "inference")
    code, out, error = run("convert", "net", "--fusion", "sum", "--out", "slim", "--input", "2,3,32,40")
    assert code == 0, error
    assert "input 2x3x32x40" in out
    old, new = (read_program(program_files(folder))[0] for folder in ("net", "slim"))
    assert (
        [(f.name, f.shape, f.dtype) for f in old.feeds]
        == [(f.name, f.shape, f.dtype) for f in new.feeds]
        == [("image", (-1, 3, -1, -1), "float32"), ("ids", (-1, 7), "int64")]
    )
    assert [fetch.name for fetch in old.fetches] == [fetch.name for fetch in new.fetches]
    assert run("report", "slim", "--no-latency")[0] == 1, "nothing is left to convert"
    assert run("export", "net", "--out", "deploy", "--no-tune", "--input", "1,3,32,32")[0] == 0


def test_inspect_and_report(run, program):
    code, out, _ = run("inspect", str(program))
    assert code == 0
    assert "net/inference" in out
    assert run("report", "net", "--no-latency")[0] == 0
    assert "goes with a checkpoint" in one_line_error(run("report", "net", "--arch", "resnet20"), 2)


def test_the_program_that_is_read_is_never_replaced(run, program, tmp_path, monkeypatch):
    """Through links and other spellings, by no option, and though it is an earlier export itself."""
    spconvify.export(zoo.find("resnet20", 10).build(), "earlier", (1, 3, 32, 32), tune=False)
    before = {path.name: path.read_bytes() for path in (tmp_path / "earlier").iterdir()}
    files = program_files("earlier")
    for kind, link in (("soft", os.symlink), ("hard", os.link)):
        (tmp_path / kind).mkdir()
        for file in (files.program, files.parameters):
            link(file.absolute(), tmp_path / kind / file.name)
    plan = f"earlier/{files.program.name}"
    for arguments in (
        ("convert", "soft", "--out", "earlier"),
        ("convert", "hard", "--out", "earlier"),
        ("export", "soft", "--out", "earlier", "--no-tune"),
        ("export", "earlier", "--out", "earlier", "--no-tune"),
        ("convert", "earlier", "--out", "new", "--save-plan", plan),
    ):
        error = one_line_error(run(*arguments, "--force"), 2)
        assert "must not be replaced" in error, arguments
    assert {path.name: path.read_bytes() for path in (tmp_path / "earlier").iterdir()} == before


def test_settings_that_somebody_edited_are_kept(run, program, tmp_path):
    (tmp_path / "net" / "inference.yml").write_text("threshold: 0.3\n")
    assert run("convert", "net", "--fusion", "sum", "--out", "slim")[0] == 0
    (tmp_path / "slim" / "inference.yml").write_text("threshold: 0.6\n")  # as many bytes
    assert "inference.yml" in one_line_error(run("convert", "net", "--out", "slim", "--force"), 2)
    assert (tmp_path / "slim" / "inference.yml").read_text() == "threshold: 0.6\n"


@pytest.mark.skipif(paddle.__version__.startswith("2."), reason="Paddle 2 writes no .json")
def test_a_program_that_is_called_like_the_manifest(run, program, tmp_path):
    program.rename(program.with_name("manifest.json"))
    program.with_suffix(".pdiparams").rename(program.with_name("manifest.pdiparams"))
    error = one_line_error(run("convert", "net", "--out", "slim"), 1)
    assert "another name" in error
    assert not (tmp_path / "slim").exists()


def test_a_folder_that_is_called_like_a_file(run, program, tmp_path):
    for name in ("slim.pdiparams", "slim.json", "slim.pdmodel"):
        assert "name a folder" in one_line_error(run("convert", "net", "--out", name), 2)
        assert not (tmp_path / name).exists()


@pytest.mark.parametrize("source", ["nowhere/inference.json", "empty", "inference.pdmodel"])
def test_a_program_that_is_not_there(run, tmp_path, monkeypatch, source):
    """What is wrong is the source, and not the folder's name without a suffix."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "inference.pdmodel").touch()
    error = one_line_error(run("convert", source, "--out", "slim"), 1)
    assert source in error
    assert "suffix" not in error


def test_a_metric_that_goes_elsewhere(run, program, tmp_path):
    """The program is read again when it is written, and found where it was."""
    (tmp_path / "goes_elsewhere.py").write_text(
        "import os\n\ndef away(network):\n    os.chdir(os.sep)\n    return 1.0\n"
    )
    code, _, error = run(
        "convert", "net", "--fusion", "sum", "--out", "slim", "--eval", "goes_elsewhere:away"
    )
    assert code == 0, error
    assert (tmp_path / "slim" / "inference.yml").exists()


def test_what_can_not_be_carried_over_is_found_at_once(run, program, monkeypatch):
    def nothing_yet(*args):
        raise AssertionError("the work has begun")

    monkeypatch.setattr("spconvify.cli.job.run", nothing_yet)
    try:
        with open(b"net/\xff.yml", "wb"):
            pass
    except OSError:
        pytest.skip("a file system of UTF-8")
    error = one_line_error(run("convert", "net", "--out", "slim"), 1)
    assert "can't carry over" in error
    assert "isn't UTF-8" in error


def test_verify_says_what_reads_a_program(run, program):
    for named in ("net", program, program.with_suffix(".pdiparams")):
        assert "`spconvify inspect`" in one_line_error(run("verify", named), 2)


@pytest.mark.parametrize("engine", ["inference", "onnxruntime"])
def test_files_of_any_size_from_a_program_of_any_size(run, tmp_path, monkeypatch, engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("paddle2onnx")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    model = Pyramid()
    write(model, tmp_path / "net" / "inference", (-1, 3, -1, -1))
    options = (
        "--engine",
        engine,
        "--input",
        "1,3,16,24",
        "--dynamic-size",
        "--no-tune",
        "--format",
        "json",
    )
    code, out, error = run("export", "net", "--out", "deploy", *options)
    assert code == 0, error
    assert json.loads(out)["free_axes"] == {"x": [2, 3]}


def test_a_size_in_a_program_stays_one(run, tmp_path, monkeypatch):
    """Reshapes and resizes of a program that was exported for one size have that size in them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net").mkdir()
    write(Pyramid(way="python"), tmp_path / "net" / "inference", (1, 3, 16, 24))
    done = run("export", "net", "--out", "deploy", "--dynamic-size", "--no-tune")
    assert "on other heights and widths than 16x24" in one_line_error(done, 2)
    assert not (tmp_path / "deploy").exists()
