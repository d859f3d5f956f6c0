"""Child processes put temporary files where nobody else can have put a link or a FIFO for them."""

import importlib.util
import os
import sys
import tempfile

import networks as nets
import pytest

from spconvify import EngineError
from spconvify.engines import children
from spconvify.engines.onnxruntime import ENGINE
from spconvify.engines.process import Worker

SHAPE = (1, 3, 8, 8)
WRITES = "import tempfile; print(tempfile.gettempdir()); open(tempfile.gettempdir() + '/.ses', 'w')"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the user's temporary files go; somebody has put a link there."""
    place = tmp_path / "temporary"
    place.mkdir()
    (tmp_path / "mine").write_text("mine")
    (place / ".ses").symlink_to(tmp_path / "mine")
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


@pytest.fixture
def kept(place, tmp_path):
    """Afterwards nothing of it has changed, and nothing is left."""
    yield
    assert (tmp_path / "mine").read_text() == "mine"
    assert os.listdir(place) == [".ses"]


@pytest.mark.usefixtures("kept")
def test_a_child_that_is_run(tmp_path, monkeypatch, place):
    monkeypatch.setattr(children, "_BOOT", WRITES)
    code, said = children.run("any", {}, tmp_path, dict(os.environ))
    assert code == 0, said
    assert said.startswith(f"{place}{os.sep}.spconvify")


@pytest.mark.usefixtures("kept")
def test_a_worker(tmp_path, monkeypatch):
    monkeypatch.setattr(children, "_BOOT", WRITES)
    job = {"engine": "inference", "folder": str(tmp_path), "threads": 1, "device": "cpu"}
    with Worker(job, "x") as worker, pytest.raises(EngineError, match="ended with code 0"):
        worker.wait_until_loaded()


@pytest.mark.usefixtures("kept")
def test_a_worker_that_cannot_be_started(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    job = {"engine": "inference", "folder": str(tmp_path), "threads": 1, "device": "cpu"}
    with pytest.raises(EngineError, match="can't be started"):
        Worker(job, "x")


@pytest.mark.usefixtures("kept")
def test_onnx_runtime_itself(tmp_path):
    pytest.importorskip("paddle2onnx")
    if importlib.util.find_spec("onnxruntime") is None:
        pytest.skip("no ONNX Runtime")
    ENGINE.write(nets.PlainNet().eval(), tmp_path, SHAPE)
    job = {"engine": "onnxruntime", "folder": str(tmp_path), "input_shape": SHAPE}
    with Worker({**job, "threads": 1, "device": "cpu"}, "x") as worker:
        worker.wait_until_loaded()


def test_a_gpu_is_looked_for_without_importing_it(monkeypatch, tmp_path):
    pytest.importorskip("paddle2onnx")
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    with pytest.raises(EngineError, match="built for the CPU"):
        ENGINE.check("gpu:0")
