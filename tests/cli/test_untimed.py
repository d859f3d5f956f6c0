"""A latency that can't be had costs neither the table nor the converted network."""

import json

import pytest

from spconvify import ConversionError, EngineError, save, zoo
from spconvify.deploy.latencies import Timing
from spconvify.engines import Latency

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
