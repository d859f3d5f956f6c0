"""Networks with several inputs are exported: files with named inputs that compute the same."""

import json

import input_networks as nets
import numpy as np
import paddle
import pytest
from input_networks import IMAGE, LABELS, SCALE, made

from spconvify import ArgumentError, convert, export, slim
from spconvify.engines import measure
from spconvify.network.inputs import Inputs, forward
from spconvify.network.outputs import flatten

EXPORTED = [
    (nets.Scaled, [IMAGE, SCALE], {"image": IMAGE, "scale": SCALE}, True),
    (nets.OfDictionary, {"image": IMAGE, "label": LABELS}, {"image": IMAGE, "label": (2,)}, False),
    (nets.OfList, [IMAGE, IMAGE], {"images.0": IMAGE, "images.1": IMAGE}, False),
]


@pytest.mark.parametrize(("network", "shapes", "named", "dynamic"), EXPORTED)
def test_paddle_inference(tmp_path, network, shapes, named, dynamic):
    slim = convert(made(network), include=["conv"], input_shape=shapes)
    folder = export(slim, tmp_path / "out", shapes, tune=False, dynamic_batch=dynamic)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name: tuple(shape) for name, shape in manifest["inputs"].items()} == named
    assert manifest["max_relative_error"] <= 1e-4
    feeds = Inputs.of(shapes, slim).with_batch(3 if dynamic else 2).feeds(seed=5)
    sample = Inputs.of(as_given(shapes, feeds), slim).sample(slim)
    with paddle.no_grad():
        expected = flatten(forward(slim, sample)).values()
    found = predicted(folder, feeds)
    assert len(found) == len(expected)
    for array, tensor in zip(found, expected):
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-4)


def as_given(shapes, feeds):
    """The arrays of `feeds` in the form of `shapes`."""
    return {name: feeds[name] for name in shapes} if isinstance(shapes, dict) else list(feeds.values())


def predicted(folder, feeds):
    from paddle import inference

    program = next(
        p for p in folder.iterdir() if p.suffix in (".json", ".pdmodel") and p.stem == "model"
    )
    config = inference.Config(str(program), str(folder / "model.pdiparams"))
    config.disable_glog_info()
    predictor = inference.create_predictor(config)
    assert sorted(predictor.get_input_names()) == sorted(feeds)
    for name, array in feeds.items():
        predictor.get_input_handle(name).copy_from_cpu(array)
    predictor.run()
    return [predictor.get_output_handle(n).copy_to_cpu() for n in predictor.get_output_names()]


def test_onnx(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("paddle2onnx")
    model = made(nets.OfDictionary)
    inputs = {"image": IMAGE, "label": LABELS}
    folder = export(model, tmp_path / "out", inputs, "onnxruntime", tune=False)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    assert sorted(tensor.name for tensor in session.get_inputs()) == ["image", "label"]


def test_an_eager_network_is_timed():
    model = made(nets.OfList)
    inputs = Inputs.of([IMAGE, IMAGE], model)
    found = measure({"one": model}, inputs, engine="eager", seconds=0.01)
    assert found["one"].median > 0


def test_an_example_of_another_structure_is_refused(tmp_path):
    model = made(nets.Scaled)
    with pytest.raises(ArgumentError, match="the example holds 1 arrays; the input has 2"):
        export(model, tmp_path / "out", [IMAGE, SCALE], example=[np.ones(IMAGE)])
    with pytest.raises(ArgumentError, match=r"the input wants \(N, 3, 12, 12\)"):
        export(model, tmp_path / "out", [IMAGE, SCALE], example=[np.ones((2, 3, 9, 9)), np.ones(SCALE)])


@pytest.mark.parametrize("call", [export, slim])
def test_an_example_of_nan_checks_nothing(tmp_path, call):
    """A ReLU makes zeros of it, so that any network would be equal."""
    values = [np.ones(IMAGE, "float32"), np.full(SCALE, np.nan, "float32")]
    arguments = (tmp_path / "out",) if call is export else ()
    with pytest.raises(ArgumentError, match="the example's 'scale' holds NaN; give numbers that"):
        call(made(nets.Scaled), *arguments, example=values)
    assert not list(tmp_path.iterdir())
