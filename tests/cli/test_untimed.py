"""A latency that can't be had costs neither the table nor the converted network."""

import json
import os
import sys
import tempfile

import pytest
from command_line import one_line_error

from spconvify import ConversionError, EngineError, save, zoo
from spconvify.deploy.latencies import Timing
from spconvify.engines import Latency, registry
from spconvify.errors import Option

WHY = "running the network 'fused' failed: it resizes"


@pytest.fixture
def checkpoint(tmp_path):
    return save(zoo.find("resnet20", 37, 1).build(), tmp_path / "model.pdparams")


@pytest.fixture(params=[EngineError, ConversionError])
def one_fails(request, monkeypatch):
    def time_networks(before, after, shape, engine, threads, device, **_):
        if engine == "inference":
            raise request.param(WHY)
        ms = Latency(2.0, 1.9, 2.1, 10)
        return Timing(engine, threads, shape[0], device, ms, ms, ms)

    monkeypatch.setattr("spconvify.deploy.timing.time_networks", time_networks)


def test_the_table_says_why(run, checkpoint, one_fails, monkeypatch):
    monkeypatch.setattr(
        "spconvify.cli.measurement.usable_engines", lambda device: ["inference", "eager"]
    )
    code, text, _ = run("report", checkpoint, "--engine", "all")
    assert code == 0
    assert f"No latency in Paddle Inference: {WHY}" in " ".join(text.split())
    assert "18 of 21 convolutions" in text
    assert "2 ms" in text or "2.00 ms" in text


@pytest.mark.parametrize("format", ["table", "md", "json"])
def test_engines_that_are_skipped_are_named_with_the_reason(run, checkpoint, monkeypatch, format):
    def time_networks(before, after, shape, engine, threads, device, **_):
        ms = Latency(2.0, 1.9, 2.1, 10)
        return Timing(engine, threads, shape[0], device, ms, ms, ms)

    def check_installed(self):
        raise EngineError("it isn't installed; use ", Option("engine", "eager"))

    monkeypatch.setattr("spconvify.deploy.timing.time_networks", time_networks)
    monkeypatch.setattr(type(registry.engine("onnxruntime")), "check_installed", check_installed)
    code, text, _ = run("report", checkpoint, "--engine", "all", "--format", format)
    assert code == 0
    lines = ["ONNX Runtime: it isn't installed; use --engine eager", "TensorRT: engine tensorrt needs a"]
    untimed = " ".join(text.split())
    for line in lines:
        assert line in untimed
    if format == "json":
        names = [timing["engine"] for timing in json.loads(text)["timings"]]
        assert "onnxruntime" not in names
        assert {"inference", "eager"} <= set(names)
    code, text, _ = run("report", checkpoint, "--engine", "eager", "--format", format)
    assert "TensorRT" not in text  # nobody asked for it


@pytest.mark.parametrize("format", ["md", "json", "csv"])
def test_in_every_format_without_any_latency(run, checkpoint, one_fails, format):
    code, text, _ = run("report", checkpoint, "--engine", "inference", "--format", format)
    assert code == 0
    if format == "json":
        data = json.loads(text)
        assert data["untimed"] == [f"Paddle Inference: {WHY}"]
        assert data["timings"] == []
        assert data["speedup"] is None
    elif format == "md":
        assert "No latency in Paddle Inference" in text


def test_the_converted_network_is_written(run, checkpoint, tmp_path, one_fails):
    out = tmp_path / "sp.pdparams"
    code, text, _ = run("convert", checkpoint, "--engine", "inference", "--latency", "--out", out)
    assert code == 0
    assert out.exists()
    assert "No latency in Paddle Inference" in text


def test_its_reason_is_in_the_command_lines_words(run, checkpoint, monkeypatch):
    def time_networks(*_, **__):
        raise EngineError("it can't be traced; try ", Option("engine", "eager"))

    monkeypatch.setattr("spconvify.deploy.timing.time_networks", time_networks)
    for more in ([], ["--format", "json"], ["--format", "md"]):
        code, text, _ = run("report", checkpoint, *more)
        assert code == 0
        assert "try --engine eager" in " ".join(text.split())


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_folders_whose_names_are_not_utf8(run, checkpoint, tmp_path, monkeypatch):
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/d\xffr")
    os.mkdir(folder)
    error = one_line_error(run("export", checkpoint, "--no-tune", "--out", f"{folder}/x"), 2)
    assert "isn't UTF-8, as Paddle needs it; choose another place" in error
    assert os.listdir(folder) == []
    monkeypatch.setattr(tempfile, "tempdir", folder)
    code, text, _ = run("report", checkpoint)
    assert code == 0
    text = " ".join(text.split())
    assert "No latency in Paddle Inference: the name of the folder for temporary files" in text
    assert "isn't UTF-8; name another in TMPDIR" in text
