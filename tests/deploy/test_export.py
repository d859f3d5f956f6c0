"""export: files that compute what the network computes, or nothing at all."""

import json
import os
import stat
import subprocess
import sys
from types import SimpleNamespace

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, ConversionError, EngineError, convert, export
from spconvify.deploy.checking import checked_error
from spconvify.deploy.export import read_manifest
from spconvify.engines.measure import hand_over, measure
from spconvify.engines.memory import KEEP_TENSORS
from spconvify.engines.process import Worker
from spconvify.engines.worker import random_values
from spconvify.imports import full_path
from spconvify.report.exported import export_lines

SHAPE = (1, 3, 16, 16)


@pytest.fixture
def model():
    return nets.trained(convert(nets.PlainNet(), fusion="gap"))


def test_a_network_that_is_not_deterministic_is_called_that(tmp_path):
    class Noisy(nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2D(3, 8, 3)

        def forward(self, x):
            y = self.conv(x)
            return y * (1 + paddle.rand(y.shape))

    with pytest.raises(ConversionError, match="isn't deterministic"):
        export(Noisy(), tmp_path / "out", (1, 3, 8, 8), tune=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("norm", nets.NORMS_OF_OWN_STATISTICS)
def test_batch_norms_of_own_statistics_are_named_where_an_engine_ignores_them(tmp_path, norm):
    model = nn.Sequential(nn.Conv2D(3, 8, 3), nets.NORMS_OF_OWN_STATISTICS[norm](8))
    model[1]._mean.set_value(paddle.full([8], 3.0))
    with pytest.raises(EngineError, match=r"off by .*'1' normalises by each batch's own statistics"):
        export(model, tmp_path / "out", (1, 3, 8, 8), tune=False)
    assert not list(tmp_path.iterdir())


def needs(engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("paddle2onnx")


def run_exported(folder, engine, shape):
    job = {"engine": engine, "folder": str(folder), "input_shape": shape, "threads": 1, "device": "cpu"}
    with Worker(job, "exported") as worker:
        worker.wait_until_loaded()
        worker.save_outputs(folder.parent / "outputs.npz")
    with np.load(folder.parent / "outputs.npz") as file:
        return [file[key] for key in file.files]


@pytest.mark.parametrize("engine", ["inference", "onnxruntime"])
def test_exported_equals_eager_for_any_batch(tmp_path, model, engine):
    needs(engine)
    folder = export(model, tmp_path / "out", SHAPE, engine, tune=False, dynamic_batch=True)
    assert (KEEP_TENSORS.keys() <= read_manifest(folder).environment.keys()) == (engine == "inference")
    for batch in (1, 3, 5):
        shape = (batch, *SHAPE[1:])
        (output,) = run_exported(folder, engine, shape)
        np.testing.assert_allclose(
            output, model(paddle.to_tensor(random_values(shape))).numpy(), atol=1e-5
        )


def test_the_manifest_says_what_was_written(tmp_path, model):
    folder = export(model, tmp_path / "out", (2, *SHAPE[1:]), tune=False)
    data = json.loads((folder / "manifest.json").read_text())
    assert data["forms"].keys() == {"conv1", "conv2"}
    assert (data["input_shape"], data["dynamic_batch"]) == ([2, 3, 16, 16], False)
    assert data["bytes"] == {
        name: os.path.getsize(folder / name) for name in os.listdir(folder) if name != "manifest.json"
    }
    assert data["paddle"] == data["engine_version"] == paddle.__version__
    assert data["latency_ms"]["p10"] <= data["latency_ms"]["median"] <= data["latency_ms"]["p90"]
    assert data["max_relative_error"] <= 1e-5
    assert data["macs"] > 0
    assert data["deleted_passes"] == []
    assert read_manifest(folder).to_dict() == data


def test_the_manifest_names_the_passes_that_a_server_should_delete(tmp_path, model, monkeypatch):
    how = {"older": False, "deleted_passes": ["slow_pass"]}
    monkeypatch.setattr("spconvify.engines.process.Worker.how", lambda worker: how)
    manifest = read_manifest(export(model, tmp_path / "out", SHAPE, tune=False))
    assert manifest.deleted_passes == ["slow_pass"]
    assert any("deleted_passes in manifest.json" in line for line in export_lines(tmp_path, manifest))


def test_an_unconverted_network_and_several_outputs(tmp_path):
    class TwoHeads(nets.PlainNet):
        def forward(self, x):
            y = self.conv1(nn.functional.relu(self.bn(self.stem(x))))
            return y, {"more": self.conv2(y)}

    folder = export(nets.trained(TwoHeads()), tmp_path / "out", SHAPE, tune=False)
    assert len(run_exported(folder, "inference", SHAPE)) == 2
    assert read_manifest(folder).forms == {}


def test_a_training_network_is_exported_in_eval_mode(tmp_path, model):
    expected = model(paddle.to_tensor(random_values(SHAPE))).numpy()
    model.train()
    folder = export(model, tmp_path / "out", SHAPE, tune=False)
    assert all(layer.training for layer in model.sublayers(include_self=True))
    np.testing.assert_allclose(run_exported(folder, "inference", SHAPE)[0], expected, atol=1e-5)


def test_places_where_nothing_may_be_written(tmp_path, model):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "full")
    for path, options, message in (
        (tmp_path / "full", {}, r"exists; replace it with overwrite=True$"),
        (tmp_path / "full", {"overwrite": True}, "isn't from an earlier export"),
        (tmp_path / "file", {"overwrite": True}, "exists and isn't a folder"),
        (tmp_path / "link", {"overwrite": True}, "exists and isn't a folder"),
        (tmp_path / "no" / "where", {}, "isn't a folder; make it first"),
    ):
        with pytest.raises(ArgumentError, match=message):
            export(model, path, SHAPE, tune=False, **options)
    assert sorted(os.listdir(tmp_path)) == ["file", "full", "link"]
    assert (tmp_path / "full" / "thesis.tex").read_text() == "years"


def test_overwrite_replaces_an_earlier_export(tmp_path, model):
    folder = export(model, tmp_path / "out", SHAPE, tune=False)
    folder.chmod(0o700)
    export(model, folder, (2, *SHAPE[1:]), tune=False, overwrite=True)
    assert read_manifest(folder).input_shape == (2, 3, 16, 16)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "notes").write_text("mine")
    with pytest.raises(ArgumentError, match="holds what no export left there: 'notes'"):
        export(model, folder, SHAPE, tune=False, overwrite=True)
    assert (folder / "notes").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


def test_a_folder_that_comes_during_the_export_stays(tmp_path, model, monkeypatch):
    folder = tmp_path / "out"

    def slow(*arguments):
        folder.mkdir()
        (folder / "thesis").write_text("years")
        hand_over(*arguments)

    monkeypatch.setattr("spconvify.deploy.export.hand_over", slow)
    with pytest.raises(ArgumentError, match="out exists: it came there during the export"):
        export(model, folder, SHAPE, tune=False)
    assert os.listdir(tmp_path) == ["out"]
    assert os.listdir(folder) == ["thesis"]


@pytest.mark.parametrize("step", ["hand_over", "check", "_manifest", "put_in_place"])
def test_a_failure_leaves_nothing(tmp_path, model, monkeypatch, step):
    earlier = export(model, tmp_path / "out", SHAPE, tune=False)
    before = {file.name: file.read_bytes() for file in earlier.iterdir()}

    def fails(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"spconvify.deploy.export.{step}", fails)
    with pytest.raises(KeyboardInterrupt):
        export(model, earlier, SHAPE, tune=False, overwrite=True)
    assert os.listdir(tmp_path) == ["out"]
    assert {file.name: file.read_bytes() for file in earlier.iterdir()} == before


def test_a_full_disk_is_named(tmp_path, model, monkeypatch):
    def cut_off(engine, network, folder, shape):
        hand_over(engine, network, folder, shape)
        parameters = folder / "model.pdiparams"
        parameters.write_bytes(parameters.read_bytes()[:100])

    monkeypatch.setattr("spconvify.deploy.export.hand_over", cut_off)
    with pytest.raises(EngineError, match="running the network 'exported' failed"):
        export(model, tmp_path / "out", SHAPE, tune=False)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(EngineError, match=r"can't write .*out: no space left on its disk"):
        export(model, tmp_path / "out", SHAPE, tune=False)
    assert os.listdir(tmp_path) == []


def test_a_folder_beside_what_failed_is_no_full_disk(tmp_path, model, monkeypatch):
    """Such as that of the program in the older representation."""

    def fail(engine, network, folder, shape):
        (folder / "older").mkdir()
        raise EngineError("no such kernel")

    monkeypatch.setattr("spconvify.deploy.export.hand_over", fail)
    with pytest.raises(EngineError, match="no such kernel"):
        export(model, tmp_path / "out", SHAPE, tune=False)


@pytest.mark.parametrize("dense", [0, 1, 2])
def test_layers_that_are_dense_again_are_no_success(tmp_path, model, dense):
    export(model, tmp_path / "out", SHAPE, tune=False)
    manifest = read_manifest(tmp_path / "out")
    manifest.forms = {str(k): "dense" if k < dense else "pointwise-last" for k in range(2)}
    lines = [" ".join(line.split()) for line in export_lines(tmp_path / "out", manifest)]
    found = [line for line in lines if line.startswith("dense again")]
    assert [line.split(":")[0] for line in found] == [
        *(["dense again 1 of 2 converted layers"] if dense == 1 else []),
        *(["dense again all converted layers"] if dense == 2 else []),
    ]
    assert any(line.endswith("deploy the original") for line in lines) == (dense == 2)


def test_other_outputs_are_refused():
    ones = np.ones((2, 3), np.float32)
    assert checked_error({"": ones}, [ones + 5e-5]) == pytest.approx(5e-5, rel=1e-2)
    with pytest.raises(EngineError, match=r"is off by .* of its scale.*nothing was written"):
        checked_error({"": ones}, [ones + 2e-4])
    with pytest.raises(EngineError, match=r"output isn't finite at other places.*nothing was written"):
        checked_error({"": ones}, [np.full_like(ones, np.nan)])
    with pytest.raises(EngineError, match=r"outputs are \[\(2, 3\), \(2, 3\)\] instead of \[\(2, 3\)\]"):
        checked_error({"": ones}, [ones, ones])


def test_rounding_is_told_from_a_wrong_engine():
    ones = np.ones((2, 3), np.float32)
    for rounded in ({"": 1e-2}, {"": 1.0}):  # the second network says nothing: 20 % is enough for it
        assert checked_error({"": ones}, [ones + 2e-2], lambda rounded=rounded: rounded) < 3e-2
        with pytest.raises(EngineError, match="is off by"):
            checked_error({"": ones}, [ones + 0.3], lambda rounded=rounded: rounded)
    tiny = np.full((2, 3), 1e-8)
    assert checked_error({"": tiny}, [tiny * 2]) == pytest.approx(1.0)  # nobody knows its rounding
    with pytest.raises(EngineError, match="is off by"):
        checked_error({"": tiny}, [tiny * 2], lambda: {"": 1e-7})


def test_an_engine_without_files_and_one_that_is_not_installed(tmp_path, model, monkeypatch):
    with pytest.raises(
        ArgumentError, match="'eager' has no files to export; use inference or openvino or onnxrun"
    ):
        export(model, tmp_path / "out", SHAPE, "eager")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"needs paddle2onnx, which isn't installed: pip install 'spc"):
        export(model, tmp_path / "out", SHAPE, "onnxruntime")


def test_an_input_that_does_not_fit(tmp_path, model):
    with pytest.raises(ArgumentError, match="doesn't run on an input of 1x7x16x16"):
        export(model, tmp_path / "out", (1, 7, 16, 16), tune=False)
    assert os.listdir(tmp_path) == []


class Untraceable(nets.PlainNet):
    def __init__(self):
        super().__init__()
        self.tail = nn.Sequential(nn.ReLU(), nets.RaisesWhenTraced())

    def forward(self, x):
        return self.tail(nets.PlainNet.forward(self, x))


def test_what_can_not_be_traced_is_named(tmp_path):
    model = nets.trained(Untraceable())
    with pytest.raises(EngineError, match=r"in layer 'tail.1': .*networks.py, line \d+: .*no way"):
        export(model, tmp_path / "out", SHAPE, tune=False)
    assert os.listdir(tmp_path) == []


def test_a_network_in_float64_is_refused_with_the_remedy(tmp_path):
    network = nn.Sequential(nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8)).to(dtype="float64")
    network.eval()
    with pytest.raises(EngineError, match=r"float64, which engines don't; cast it with network\.to"):
        export(network, tmp_path / "out", (1, 3, 8, 8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("threads", [0, -1, "2", 1.5, None])
def test_threads_that_cannot_be(model, tmp_path, threads):
    with pytest.raises(ArgumentError, match="usual choice is 1"):
        export(model, tmp_path / "out", SHAPE, threads=threads, tune=False)
    with pytest.raises(ArgumentError, match="usual choice is 1"):
        measure({"x": model}, SHAPE, engine="eager", threads=threads)
    assert not list(tmp_path.iterdir())


LIMITED = """
import resource, sys
import paddle
from spconvify import EngineError, export
network = paddle.nn.Sequential(paddle.nn.Conv2D(3, 64, 3), paddle.nn.Conv2D(64, 256, 3))
network.eval()
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    export(network, sys.argv[1], (1, 3, 8, 8), tune=False, progress=False)
except EngineError as error:
    print(error)
"""


def test_a_file_that_may_not_be_as_long_as_it_should(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(full_path())}
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"can't write {tmp_path / 'out'}: File too large\n", done.stderr
    assert not list(tmp_path.iterdir())
