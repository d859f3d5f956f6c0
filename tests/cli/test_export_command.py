"""spconvify export and the measuring options of report, as a user types them."""

import json
import os

import pytest
from command_line import one_line_error

import spconvify
from spconvify.deploy.tune import FormChoice
from spconvify.engines import Latency
from spconvify.zoo.cifar import resnet20


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "sp.pdparams"
    spconvify.save(spconvify.convert(resnet20(num_classes=7), fusion="sum"), path)
    return path


def test_export_writes_a_folder_and_says_how_to_load_it(run, converted, tmp_path):
    options = ("--out", tmp_path / "deploy", "--no-tune", "--dynamic-batch")
    code, text, _ = run("export", converted, *options)
    assert code == 0
    assert "input anyx3x32x32" in text
    assert "pointwise-last" in text
    assert f'paddle.inference.Config("{tmp_path / "deploy" / "model."}' in text
    assert "of the output's scale" in text
    assert (tmp_path / "deploy" / "manifest.json").exists()


def test_export_as_json_is_the_manifest(run, converted, tmp_path):
    _, text, _ = run("export", converted, "--out", tmp_path / "deploy", "--no-tune", "--format", "json")
    data = json.loads(text)
    assert data == json.loads((tmp_path / "deploy" / "manifest.json").read_text())
    assert data["input_shape"] == [1, 3, 32, 32]


def test_wrong_exports_write_nothing(run, converted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for options, message in (
        (["--out", "there"], "there exists; replace it with --force"),
        (["--engine", "eager"], "engine 'eager' has no files to export"),
        (["--engine", "onnx"], "engine 'onnx' is unknown; did you mean 'onnxruntime'"),
        (["--input", "1,3"], "--input '1,3' isn't a shape"),
        (["--input", "1,4,32,32"], "doesn't run on an input of 1x4x32x32"),
        (["--format", "csv"], "--format 'csv' is unknown; use one of: table, json"),
        (["--out", "no/where"], "isn't a folder; make it first"),
    ):
        assert message in one_line_error(run("export", converted, "--no-tune", *options), 2)
    assert os.listdir(tmp_path) == ["there"]


def test_report_of_a_grid(run, converted):
    code, text, _ = run("report", converted, "--engine", "eager", "--batch", "1,2", "--threads", "1,2")
    assert code == 0
    rows = [line.split() for line in text.splitlines() if line.strip().startswith("Paddle eager")]
    assert [row[2:4] for row in rows] == [["1", "1"], ["1", "2"], ["2", "1"], ["2", "2"]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--batch", "1,x"], "--batch '1,x' isn't a number from 1 on"),
        (["--threads", "0"], "--threads '0' isn't a number from 1 on"),
        (["--only-faster", "--no-latency"], "--only-faster measures"),
        (["--engine", "tensorrt"], "engine tensorrt needs a GPU"),
    ],
)
def test_wrong_measurements(run, converted, options, message):
    assert message in one_line_error(run("report", converted, *options), 1 if "GPU" in message else 2)


def test_only_faster_keeps_the_dense_convolution(run, monkeypatch, tmp_path):
    from spconvify.deploy import tune

    def slower(model, *_, **__):
        return tune.FormChoice(slower=["layer1.0.conv1", "layer1.0.conv2"])

    monkeypatch.setattr(tune, "choose_forms", slower)
    path = tmp_path / "dense.pdparams"
    spconvify.save(resnet20(), path)
    options = ("--only-faster", "--dry-run", "--per-layer", "--engine", "eager")
    code, text, _ = run("convert", path, *options)
    assert code == 0
    assert "16 of 21 convolutions converted" in text
    assert text.count("the dense convolution is faster here") == 2


def test_a_name_is_exported_only_if_random_weights_are_wanted(run, converted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--input", "1,3,16,16", "--no-tune", "--out", "deploy")
    error = one_line_error(run("export", "resnet20", *options), 2)
    assert "'resnet20' is a name, whose weights are random ones" in error
    assert error.rstrip().endswith("or say --random-weights")
    error = one_line_error(run("export", converted, "--random-weights", *options), 2)
    assert "--random-weights goes with a name" in error
    assert not os.path.exists("deploy")
    assert run("export", "resnet20", "--random-weights", *options)[0] == 0


def test_slower_files_are_said_to_be_that_once(run, converted, tmp_path, monkeypatch):
    def measure(networks, *_, **__):
        return {"original": Latency(20, 19, 21, 9), "exported": Latency(30, 29, 31, 9)}

    monkeypatch.setattr("spconvify.deploy.against_original.measure", measure)
    monkeypatch.setattr("spconvify.deploy.export.choose_forms", lambda *_, **__: FormChoice())
    code, text, notes = run("export", converted, "--out", tmp_path / "out", "--input", "1,3,32,32")
    assert code == 0
    assert "1.50x slower (1.38–1.63x); slower than the original: deploy that one" in text
    assert "slower" not in notes
