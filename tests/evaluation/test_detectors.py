"""Networks whose number of boxes is up to the picture: agreement and recovery take the maps."""

import warnings

import numpy as np
import paddle
import pytest
from detectors import Detector
from networks import trained
from sized_networks import Pyramid, Rows

from spconvify import AgreementWarning, ArgumentError, convert, recover
from spconvify.evaluation.agreement import agreement, check_output_kinds
from spconvify.network.heads import heads, outputs_at

LAYERS = ["layer 'scores'", "layer 'boxes'"]


def pictures(count=8):
    return np.random.default_rng(1).standard_normal((count, 3, 24, 24)).astype("float32")


@pytest.fixture
def detector():
    paddle.seed(3)
    return trained(Detector())


def test_the_last_layers_with_weights_are_found(detector):
    image = paddle.to_tensor(pictures(1))
    assert heads(detector, image) == ["scores", "boxes"]
    for parameter in detector.parameters():
        parameter.stop_gradient = True
    assert heads(detector, image) == ["scores", "boxes"]
    assert heads(trained(Pyramid()), image) == ["head"]
    assert heads(trained(Rows()), image) == ["second.norm"]
    with outputs_at(detector, ["boxes"]) as found:
        detector(image)
    assert {name: list(tensor.shape) for name, tensor in found.items()} == {"boxes": [1, 4, 12, 12]}


@pytest.mark.parametrize("size", [1, 4])
def test_agreement_is_that_of_the_maps(detector, size):
    batches = np.split(pictures(), 8 // size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AgreementWarning)
        slim = convert(detector, init="lstsq", fusion="sum", calibration=batches, progress=False)
    found = agreement(detector, slim, batches)
    assert [output.name for output in found.outputs] == LAYERS
    assert all(output.error is not None and 0.0 < output.error < 1.0 for output in found.outputs)
    assert all(output.kind == "values" for output in found.outputs)
    same = agreement(detector, detector, batches)
    assert [output.error for output in same.outputs] == [0.0, 0.0]


def test_recovery_learns_the_maps(detector, capsys):
    slim = convert(detector, init="copy", fusion="sum")
    before = agreement(detector, slim, [pictures()])
    recover(slim, detector, pictures(), steps=30, batch_size=8, learning_rate=1e-2, progress=False)
    after = agreement(detector, slim, [pictures()])
    assert all(new.error < 0.7 * old.error for old, new in zip(before.outputs, after.outputs))
    said = capsys.readouterr().err
    assert "output '0' is left out of the loss" in said
    assert "learnt in its place: what the layers 'scores', 'boxes' give" in said


class Sparse(Detector):
    """Finds nothing where all is dark."""

    def forward(self, x):
        boxes, scores = super().forward(x)
        light = (x.abs().max() > 0).astype(scores.dtype)
        kept = paddle.nonzero(scores * light > 0.5).flatten()
        return paddle.gather(boxes, kept), paddle.gather(scores, kept)

    def choice(self, boxes, scores):
        return boxes, scores


def test_pictures_in_which_nothing_is_found_decide_nothing():
    paddle.seed(3)
    detector = trained(Sparse())
    dark = np.zeros((8, 3, 24, 24), "float32")
    assert not detector(paddle.to_tensor(dark))[1].size
    slim = convert(detector, init="copy", fusion="sum")
    found = agreement(detector, slim, [dark, dark, pictures()])
    assert [output.name for output in found.outputs] == LAYERS
    assert found.images == 8


def test_kinds_of_a_detector_are_those_of_the_maps(detector):
    with pytest.raises(ArgumentError, match="the images decide how large the output '0' is"):
        check_output_kinds(detector, pictures(2), {"0": "values"})
    named = {LAYERS[1]: "map"}
    check_output_kinds(detector, pictures(2), named)
    assert agreement(detector, detector, [pictures()], kinds=named).outputs[1].same == 100
