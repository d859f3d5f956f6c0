"""What the commands do with images: every layout, samples, and what can't be is found at once."""

import json
from pathlib import Path

import numpy as np
import paddle
import pytest
from command_line import one_line_error
from networks import conv
from paddle import nn
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"
SHIPPED = EXAMPLES / "resnet20_fashion_mnist.pdparams"
ONE_LAYER = ("--include", "layer3.2.conv2")


class ChannelsLast(nn.Layer):
    """(N, H, W, 3) -> (N, 10), every layer of it with channels last."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8, data_format="NHWC")
        self.conv = conv(8, 12, data_format="NHWC")
        self.head = nn.Linear(12, 10)

    def forward(self, x):
        return self.head(nn.functional.relu(self.conv(self.stem(x))).mean(axis=[1, 2]))


class TurnedInside(ChannelsLast):
    """The same for (N, 3, H, W): it turns its input around."""

    def forward(self, x):
        return super().forward(x.transpose([0, 2, 3, 1]))


@pytest.fixture
def files(tmp_path):
    paddle.save(ChannelsLast().state_dict(), str(tmp_path / "w.pdparams"))
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 16, 3)).astype("uint8")
    (tmp_path / "pictures").mkdir()
    for index, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{index}.png")
    np.savez(tmp_path / "x.npz", images=pixels, labels=np.arange(24) % 10)
    return tmp_path


@pytest.mark.parametrize(
    ("network", "options", "shape"),
    [
        ("ChannelsLast", ["--calibration", "x.npz"], [1, 20, 16, 3]),
        ("ChannelsLast", ["--calibration", "pictures", "--input", "1,20,16,3"], [1, 20, 16, 3]),
        ("ChannelsLast", ["--calibration", "pictures", "--resize", "12,10"], [1, 12, 10, 3]),
        ("TurnedInside", ["--calibration", "x.npz"], [1, 3, 20, 16]),
        ("TurnedInside", ["--calibration", "pictures", "--input", "1,3,20,16"], [1, 3, 20, 16]),
    ],
)
def test_networks_with_channels_last(run, files, monkeypatch, network, options, shape):
    monkeypatch.chdir(files)
    code, text, notes = run(
        "convert", "w.pdparams", "--arch", f"{__name__}:{network}", *options, "--eval", "x.npz",
        "--out", "sp.pdparams", "--format", "json",
    )  # fmt: skip
    assert code == 0, notes
    found = json.loads(text)
    assert found["input_shape"] == shape
    assert 0 <= found["after"]["top1"] <= 100


def test_blue_first(run, files, monkeypatch):
    """The fit sees what it would of pictures that are turned around in their files."""
    monkeypatch.chdir(files)
    (files / "turned").mkdir()
    for path in (files / "pictures").iterdir():
        Image.fromarray(np.asarray(Image.open(path))[:, :, ::-1]).save(files / "turned" / path.name)
    weights = []
    for out, options in (("a", ["pictures", "--bgr"]), ("b", ["turned"]), ("c", ["pictures"])):
        code, _, notes = run(
            "convert", "w.pdparams", "--arch", f"{__name__}:ChannelsLast", "--calibration", *options,
            "--input", "1,20,16,3", "--out", f"{out}.pdparams",
        )  # fmt: skip
        assert code == 0, notes
        assert ("20x16, BGR, mean" in notes) == ("--bgr" in options)
        state = paddle.load(f"{out}.pdparams")
        weights.append(np.concatenate([np.ravel(value.numpy()) for _, value in sorted(state.items())]))
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])
    error = one_line_error(run("convert", SHIPPED, "--calibration", "pictures", "--bgr"), 2)
    assert "--bgr turns three channels around, red, green and blue, and the network takes 1;" in error


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array(["cat"] * 24), "'labels' is of dtype <U3"),
        (np.arange(24) - 1, "label 0 is -1"),
        (np.arange(24) / 2, "label 1 is 0.5"),
        (np.arange(23), "the labels are 23 for 24 images"),
        (np.zeros((24, 20, 16)), "the labels are 24x20x16 for 24 images"),
        (None, "needs a file with labels"),
    ],
)
def test_wrong_labels_are_found_before_anything_is_read(run, files, monkeypatch, labels, message):
    def nothing(*_, **__):
        raise AssertionError("the network was read")

    monkeypatch.setattr("spconvify.cli.selection.open_source", nothing)
    monkeypatch.setattr("spconvify.cli.recovery_job.open_source", nothing)
    arrays = {"images": np.zeros((24, 28, 28), "uint8")} | ({} if labels is None else {"labels": labels})
    np.savez(files / "bad.npz", **arrays)
    options = ("--eval", files / "bad.npz", "--out", files / "sp.pdparams")
    assert message in one_line_error(run("convert", SHIPPED, *options), 2)
    data = ("--teacher", SHIPPED, "--data", files / "pictures")
    assert message in one_line_error(run("recover", files / "w.pdparams", *data, *options), 2)


def test_a_label_beyond_the_classes_is_found_before_the_fit(run, files):
    images = np.random.default_rng(0).integers(0, 256, (24, 28, 28)).astype("uint8")
    np.savez(files / "bad.npz", images=images, labels=np.arange(24) % 11)
    code, _, notes = run(
        "convert", SHIPPED, *ONE_LAYER, "--calibration", files / "bad.npz", "--eval", files / "bad.npz",
        "--out", files / "sp.pdparams",
    )  # fmt: skip
    assert code == 2
    assert "label 10 is 10, which is beyond the network's 10 classes" in notes
    assert not (files / "sp.pdparams").exists()


def test_more_asked_for_than_there_are_and_what_is_skipped(run, files):
    (files / "pictures" / "a\nb.png").write_bytes(b"none")
    code, _, notes = run(
        "convert", SHIPPED, *ONE_LAYER, "--calibration", files / "pictures", "--calibration-count", 100,
        "--out", files / "sp.pdparams", "--input", "1,1,28,28",
    )  # fmt: skip
    assert code == 0, notes
    assert "--calibration-count 100: there are only 24" in notes
    assert "not a picture that can be read" in notes
