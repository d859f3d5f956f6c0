"""Files for pictures of any height and width compute what the network does, or there are none."""

import json

import networks as nets
import numpy as np
import paddle
import pytest
import sized_networks as sized

from spconvify import ArgumentError, EngineError, convert, export
from spconvify.deploy.export import read_manifest
from spconvify.deploy.other_sizes import other_sizes
from spconvify.engines import registry
from spconvify.engines.process import Worker
from spconvify.network.inputs import Inputs
from spconvify.network.random_values import random_values
from spconvify.report.exported import export_lines

SHAPE = (1, 3, 16, 24)
ENGINES = ["inference", "onnxruntime", "openvino"]


def needs(engine):
    if engine == "onnxruntime":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("paddle2onnx")
    if engine == "openvino" and paddle.__version__.startswith("2."):
        pytest.skip("Paddle 2 has no OpenVINO")


def run_exported(folder, engine, *shapes):
    """What a server gets on pictures of each shape."""
    outputs = []
    for shape in shapes:
        job = {
            "engine": engine,
            "folder": str(folder),
            "input_shape": shape,
            "threads": 1,
            "device": "cpu",
        }
        with Worker(job, "exported") as worker:
            worker.wait_until_loaded()
            worker.save_outputs(folder.parent / "outputs.npz")
        with np.load(folder.parent / "outputs.npz") as file:
            outputs.append([file[name] for name in file.files])
    return outputs


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_takes_any_size(tmp_path, engine):
    needs(engine)
    parts = [sized.Pyramid(), sized.RoundingUp(), sized.Rows()]
    if engine != "onnxruntime":
        parts.append(sized.Parts())
    model = nets.trained(convert(sized.Several(*parts), input_shape=SHAPE))
    folder = export(model, tmp_path / "out", SHAPE, engine, tune=False, dynamic_size=True)
    manifest = read_manifest(folder)
    assert (manifest.dynamic_size, manifest.dynamic_batch) == (True, False)
    assert manifest.free_axes == {"x": [2, 3]}
    assert manifest.input_shape == SHAPE
    (found,) = run_exported(folder, engine, (1, 3, 45, 31))
    expected = model(paddle.to_tensor(random_values((1, 3, 45, 31))))
    for array, tensor in zip(found, expected):
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-4)


def test_what_the_converter_wants_in_numbers_is_refused(tmp_path):
    needs("onnxruntime")
    model = nets.trained(sized.Parts())
    with pytest.raises(EngineError, match=r"^for any height and width: Parts can't be .*[Aa]daptive"):
        export(model, tmp_path / "out", SHAPE, "onnxruntime", tune=False, dynamic_size=True)
    assert not list(tmp_path.iterdir())


def test_ways_to_resize_with_any_batch(tmp_path):
    ways = [(mode, way) for mode in ("nearest", "bilinear") for way in ("python", "factor")]
    model = nets.trained(sized.Several(*(sized.Pyramid(*way) for way in ways)))
    folder = export(model, tmp_path / "out", SHAPE, tune=False, dynamic_size=True, dynamic_batch=True)
    data = json.loads((folder / "manifest.json").read_text())
    assert data["free_axes"] == {"x": [0, 2, 3]}
    assert (data["dynamic_batch"], data["dynamic_size"]) == (True, True)
    lines = list(export_lines(folder, read_manifest(folder)))
    assert "input anyx3xanyxany" in lines[0]
    assert any("1x3x16x24, 1 thread" in line for line in lines)


def test_how_odd_a_size_may_be_is_found_by_trying():
    def found(network, shape=SHAPE):
        network.eval()
        return [other.first.sizes for other in other_sizes(network, Inputs.of(shape, network))]

    assert found(sized.RoundingUp()) == [(1, 3, 17, 27), (1, 3, 9, 15)]
    assert found(sized.Pyramid(way="factor")) == [(1, 3, 24, 56), (1, 3, 8, 24)]
    assert found(sized.RoundingUp(), (1, 3, 224, 224)) == [(1, 3, 225, 227), (1, 3, 113, 115)]


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (sized.Flattened, r"Flattened doesn't run on other heights and widths than 16x24: .*1536"),
        (sized.BroughtToSize, r"is 16x24 for an input of 16x24, and for one of 17x27 too"),
    ],
)
def test_a_network_that_takes_one_size_is_refused(tmp_path, network, reason):
    model = nets.trained(network())
    with pytest.raises(ArgumentError, match=rf"{reason}.*; leave out dynamic_size=True$") as refused:
        export(model, tmp_path / "out", SHAPE, tune=False, dynamic_size=True)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())
    export(model, tmp_path / "out", SHAPE, tune=False)


def test_an_input_without_height_and_width(tmp_path):
    class Flat(paddle.nn.Linear):
        pass

    network = Flat(8, 8)
    network.eval()
    with pytest.raises(
        ArgumentError, match=r"\(2, 8\) has no height and width that could be free; leave"
    ):
        export(network, tmp_path / "out", (2, 8), tune=False, dynamic_size=True)


def test_a_size_that_the_trace_has_as_a_number_is_found_out(tmp_path):
    model = nets.trained(sized.Counted())
    with pytest.raises(
        EngineError, match=r"on an input of 1x3x17x27: .*nothing was written|can't be traced"
    ):
        export(model, tmp_path / "out", SHAPE, tune=False, dynamic_size=True)
    assert not list(tmp_path.iterdir())


def test_files_are_checked_in_the_way_that_the_manifest_tells(tmp_path, monkeypatch):
    """A way to resize may be right for whole factors only: the odd size decides for all of them."""
    seen = []
    engine = registry.engine("inference")
    kept = type(engine).keep

    def keep(self, folder, how):
        seen.append(how)
        kept(self, folder, how)

    monkeypatch.setattr(type(engine), "keep", keep)
    questions = []
    ask = Worker._ask
    monkeypatch.setattr(Worker, "_ask", lambda self, q: questions.append(q) or ask(self, q))
    model = nets.trained(sized.Pyramid())
    folder = export(model, tmp_path / "out", SHAPE, tune=False, dynamic_size=True)
    assert len(seen) == 1
    assert seen[0]["deleted_passes"] == read_manifest(folder).deleted_passes
    again = [question["kept"] for question in questions if "kept" in question]
    assert again == seen * 2


def test_pictures_last_in_channels_and_several_inputs(tmp_path):
    class Two(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = paddle.nn.Conv2D(3, 8, 3, padding=1, data_format="NHWC")

        def forward(self, image, scale):
            return self.conv(image) * scale

    model = nets.trained(Two())
    shapes = {"image": (2, 12, 16, 3), "scale": (1,)}
    folder = export(model, tmp_path / "out", shapes, tune=False, dynamic_size=True)
    manifest = read_manifest(folder)
    assert manifest.free_axes == {"image": [1, 2], "scale": []}
    assert "image 2xanyxanyx3, scale 1" in next(iter(export_lines(folder, manifest)))


def test_an_older_manifest_is_read(tmp_path):
    folder = export(nets.trained(nets.PlainNet()), tmp_path / "out", (1, 3, 16, 16), tune=False)
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    del data["free_axes"], data["dynamic_size"]
    for batch, axes in ((True, [0]), (False, [])):
        path.write_text(json.dumps({**data, "dynamic_batch": batch}))
        assert read_manifest(folder).free_axes == {"x": axes}
        assert read_manifest(folder).dynamic_batch is batch
