"""The two example networks whose outputs are pictures: convert, agree, recover, export."""

import importlib.util

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from dense_outputs import EXAMPLES

import spconvify
from spconvify.deploy.export import read_manifest


def networks():
    spec = importlib.util.spec_from_file_location("garment_networks", EXAMPLES / "garment_networks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=["segmenter", "enlarger"])
def example(request):
    """(the trained network, its calibration pictures)."""
    network = getattr(networks(), request.param)()
    with np.load(EXAMPLES / f"{request.param}_pictures.npz") as file:
        pixels = file["images"].astype("float32") / 255
        inputs = ((pixels - file["mean"]) / file["std"])[:, None]
    return spconvify.load(EXAMPLES / f"{request.param}.pdparams", network), inputs


def shown(output):
    """A picture as it is; of scores the probabilities, since training may shift them all alike."""
    return output if output.shape[1] == 1 else F.softmax(output, axis=1)


def error(network, original, inputs):
    network.eval()
    original.eval()
    with paddle.no_grad():
        ours, theirs = (shown(n(paddle.to_tensor(inputs))).numpy() for n in (network, original))
    return float(np.mean((ours - theirs) ** 2) / theirs.var())


def test_from_the_checkpoint_to_files(tmp_path, example):
    original, inputs = example
    left_out = inputs[64:]
    copied = spconvify.convert(original, fusion="sum")
    slim = spconvify.convert(original, fusion="sum", init="lstsq", calibration=[inputs[:64]])
    far = error(copied, original, left_out)
    assert error(slim, original, left_out) < 0.5 * far
    spconvify.recover(slim, original, inputs[:64], steps=20, batch_size=16, learning_rate=3e-4)
    assert error(slim, original, left_out) < 0.5 * far  # few steps on few pictures: not always better
    spconvify.export(slim, tmp_path / "deploy", (1, *inputs.shape[1:]), tune=False)
    assert read_manifest(tmp_path / "deploy").engine == "inference"


def test_what_they_give():
    module = networks()
    assert module.segmenter()(paddle.zeros([2, 1, 16, 24])).shape == [2, len(module.CLASSES), 16, 24]
    assert module.enlarger()(paddle.zeros([2, 1, 12, 8])).shape == [2, 1, 24, 16]
