"""Outputs with as many rows as the values decide are compared where rounding changes none of that."""

import numpy as np
import paddle
import pytest
from detectors import Detector, Thresholded
from networks import PlainNet, trained

from spconvify import EngineError, convert, export, fuse
from spconvify.deploy import checking
from spconvify.deploy.boxes import has_other_numbers
from spconvify.deploy.export import read_manifest
from spconvify.network.inputs import Inputs
from spconvify.network.outputs import arrays

SHAPE = (1, 3, 24, 24)


def slim(kind):
    paddle.seed(3)
    return trained(convert(trained(kind()), fusion="sum", input_shape=SHAPE))


def test_only_sizes_that_values_decide_may_differ():
    model = slim(Detector)
    sample = Inputs.of(SHAPE, model).sample(model)
    expected = arrays(model(*sample.args))
    boxes, scores = expected.values()
    assert has_other_numbers(model, sample, expected, {"0": boxes[1:], "1": scores[1:]})
    assert not has_other_numbers(model, sample, expected, {"0": boxes[1:, 1:], "1": scores[1:]})
    assert not has_other_numbers(model, sample, expected, {"0": boxes, "1": scores[:, None]})
    assert not has_other_numbers(model, sample, expected, expected)


@pytest.mark.parametrize("seeds", [1, 9])
def test_another_picture_is_taken_where_rounding_changes_the_number(tmp_path, monkeypatch, seeds):
    """`seeds` pictures on which the files have a box less."""
    model, read, reads = slim(Detector), checking._read, []

    def one_less(path):
        found = read(path)
        reads.append(found)
        return [array[1:] for array in found] if len(reads) <= seeds else found

    monkeypatch.setattr(checking, "_read", one_less)
    if seeds > 1:
        with pytest.raises(EngineError, match=r"nothing was written: its size depends on the values"):
            export(model, tmp_path / "out", SHAPE, tune=False)
        assert not list(tmp_path.iterdir())
    else:
        folder = export(model, tmp_path / "out", SHAPE, tune=False)
        assert read_manifest(folder).error < 1e-4
        assert not np.array_equal(reads[0][0], reads[1][0])


def test_a_size_that_the_engine_alone_makes_is_not_the_values_doing(tmp_path, monkeypatch):
    """As a converter that leaves out what a transposed convolution is to add at the edge."""
    read = checking._read
    monkeypatch.setattr(checking, "_read", lambda path: [array[..., 1:] for array in read(path)])
    with pytest.raises(EngineError, match=r"is \(1, 4\) instead of \(1, 5\); nothing .*: the engine"):
        export(trained(PlainNet()), tmp_path / "out", SHAPE, tune=False)


def test_engines_that_have_the_operators(tmp_path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("paddle2onnx")
    folder = export(
        slim(Thresholded), tmp_path / "out", SHAPE, "onnxruntime", tune=False, dynamic_size=True
    )
    assert read_manifest(folder).free_axes == {"x": [2, 3]}


def test_fusing_a_detector():
    model = slim(Detector)
    image = paddle.ones(SHAPE)
    assert [t.shape for t in fuse(model, input_shape=SHAPE)(image)] == [t.shape for t in model(image)]


class Logarithm(paddle.nn.Layer):
    """Of a random picture there is none."""

    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x.log().sum([2, 3], keepdim=True) + x)


def test_files_are_compared_where_something_is_finite(tmp_path, monkeypatch):
    """Where the network gives NaN alone, so do files that compute something else."""
    model, read = trained(Logarithm()), checking._read
    assert np.isnan(model(paddle.to_tensor(Inputs.of(SHAPE).values())).numpy()).all()
    folder = export(model, tmp_path / "right", SHAPE, tune=False)
    assert 0 < read_manifest(folder).error < 1e-4
    monkeypatch.setattr(checking, "_read", lambda path: [array * 1.1 for array in read(path)])
    with pytest.raises(EngineError, match="output is off by"):
        export(model, tmp_path / "wrong", SHAPE, tune=False)
