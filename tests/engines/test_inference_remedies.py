"""Paddle Inference: networks with operators that its oneDNN refuses run all the same, and fast."""

import networks as nets
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from spconvify import convert, export
from spconvify.deploy.export import read_manifest
from spconvify.engines import measure, remedies
from spconvify.engines.inference import ENGINE
from spconvify.engines.program_files import program_files
from spconvify.engines.worker import random_values
from spconvify.report.exported import export_lines

SHAPE = (1, 3, 16, 16)
PASS = "onednn_placement_pass"
on_paddle_3 = pytest.mark.skipif(paddle.__version__.startswith("2."), reason="it is Paddle 3's oneDNN")


class Resizes(nets.PlainNet):
    """An upsampling path behind a convolution, as every UNet and FPN has it."""

    def __init__(self, *ways):
        super().__init__()
        self.ways = ways

    def forward(self, x):
        x = F.relu(self.conv1(F.relu(self.bn(self.stem(x)))))
        return [F.sigmoid(way(self.conv2(x))) for way in self.ways]


def in_three_dimensions(x):
    return F.interpolate(x.unsqueeze(2), size=[2, 16, 16], mode="nearest", data_format="NCDHW")


WAYS = {
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "bilinear": lambda x: F.interpolate(x, size=[16, 16], mode="bilinear"),
    "corners": lambda x: F.interpolate(x, scale_factor=[2, 3], mode="bilinear", align_corners=True),
    "module": nn.UpsamplingBilinear2D(scale_factor=2),
    "by shape": lambda x: F.interpolate(x, size=paddle.shape(x)[2:] * 2, mode="bilinear"),
    "3d": in_three_dimensions,
    "nearest, no whole factor": lambda x: F.interpolate(x, size=[19, 5]),
    "half": lambda x: F.interpolate(x, scale_factor=0.5),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "area": lambda x: F.interpolate(x, size=[4, 4], mode="area"),
    "linear": lambda x: F.interpolate(x.flatten(2), size=[100], mode="linear", data_format="NCW"),
    "shuffle": lambda x: F.pixel_shuffle(x, 2),
    "norm": lambda x: F.layer_norm(x, x.shape[1:]),
}


# Paddle 2's oneDNN takes the wrong pixels, and Paddle has no remedy for it there.
WRONG_IN_PADDLE_2 = (
    {"nearest, no whole factor", "half"} if paddle.__version__.startswith("2.") else set()
)
RUN = [
    ("nearest",),
    ("bilinear", "module"),
    ("norm",),
    tuple(way for way in WAYS if way not in WRONG_IN_PADDLE_2),
]


def network(*ways):
    return nets.trained(convert(Resizes(*(WAYS[way] for way in ways)), input_shape=SHAPE))


@pytest.mark.parametrize("ways", RUN)
def test_it_is_exported_for_any_batch_and_a_server_can_load_it(tmp_path, ways):
    model = network(*ways)
    folder = export(model, tmp_path / "out", SHAPE, tune=False, dynamic_batch=True)
    manifest = read_manifest(folder)
    found = {file.name for file in folder.iterdir()}
    assert found == {*manifest.files, "manifest.json"}
    assert ("model.json" in found) != ("model.pdmodel" in found)
    if "model.json" in found:
        assert manifest.deleted_passes == [PASS]
        assert any("config.delete_pass()" in line for line in export_lines(folder, manifest))
    else:
        assert manifest.deleted_passes == []


def test_it_is_timed():
    model = network("nearest", "bilinear")
    assert measure({"it": model}, SHAPE, seconds=0.01)["it"].median > 0


def test_a_network_that_needs_none_is_run_as_it_always_was(tmp_path):
    model = nets.trained(nets.PlainNet())
    ENGINE.write(model, tmp_path, SHAPE)
    assert not (tmp_path / "older").exists()
    loaded = ENGINE.load(tmp_path, np.zeros(SHAPE, "float32"))
    assert loaded.how == {"older": False, "deleted_passes": []}


@on_paddle_3
@pytest.mark.parametrize("slow", ["older", "newer"])
def test_the_faster_remedy_is_taken_and_kept(tmp_path, monkeypatch, slow):
    ENGINE.write(network("nearest"), tmp_path, SHAPE)
    assert (tmp_path / "older" / "model.pdmodel").exists()
    seconds = {True: 1.0, False: 2.0} if slow == "newer" else {True: 2.0, False: 1.0}

    def trial(loaded):
        loaded()
        return seconds[loaded.how["older"]]

    monkeypatch.setattr(remedies, "_trial", trial)
    loaded = ENGINE.load(tmp_path, np.zeros(SHAPE, "float32"))
    assert loaded.how == (
        {"older": True, "deleted_passes": []}
        if slow == "newer"
        else {"older": False, "deleted_passes": [PASS]}
    )
    ENGINE.keep(tmp_path, loaded.how)
    assert program_files(tmp_path)[0].suffix == (".pdmodel" if slow == "newer" else ".json")
    assert not (tmp_path / "older").exists()
    again = ENGINE.load(tmp_path, np.zeros(SHAPE, "float32"))
    np.testing.assert_allclose(again()[0], loaded()[0], atol=1e-5)


@on_paddle_3
def test_a_remedy_that_takes_other_pixels_is_not_taken(tmp_path, monkeypatch):
    ENGINE.write(network("half"), tmp_path, SHAPE)
    monkeypatch.setattr(remedies, "_trial", lambda loaded: 0.0 if loaded.how["older"] else 1.0)
    values = random_values(SHAPE)
    loaded = ENGINE.load(tmp_path, values)
    assert loaded.how == {"older": False, "deleted_passes": [PASS]}


def test_outputs_are_the_same_but_for_rounding():
    same, ones, count = remedies._same, np.ones((2, 3), "float32"), np.arange(6)
    assert same([ones, count], [ones + 1e-4, count])
    assert not same([ones, count], [ones + 0.1, count])
    assert not same([ones, count], [ones, count + 1])
    assert not same([ones], [ones[:1]])
    assert same([ones * np.inf, ones * np.nan], [ones * np.inf, ones * np.nan])
    assert not same([ones], [ones * np.nan])


@on_paddle_3
def test_where_the_older_representation_lacks_an_operator_the_other_remedy_is_there(tmp_path):
    model = Resizes(lambda x: F.gelu(F.interpolate(x, scale_factor=2)))
    folder = export(nets.trained(model), tmp_path / "out", SHAPE, tune=False)
    assert read_manifest(folder).deleted_passes == [PASS]


@on_paddle_3
def test_if_nothing_helps_the_first_problem_is_told(tmp_path, monkeypatch):
    ENGINE.write(network("nearest"), tmp_path, SHAPE)

    def fails(way, *_):
        raise ValueError(f"no way, {way.deleted_passes}")

    monkeypatch.setattr(remedies, "load_way", fails)
    with pytest.raises(ValueError, match=r"no way, \(\)"):
        ENGINE.load(tmp_path, np.zeros(SHAPE, "float32"))


def test_a_network_of_very_many_convolutions_is_not_written_twice(monkeypatch):
    program = b'{"#":"1.conv2d"}' * 700 + b'{"#":"1.nearest_interp"}'
    assert not remedies.may_be_refused(program)
    assert remedies.may_be_refused(program[:160] + program[-30:])
    assert not remedies.may_be_refused(b'{"#":"1.bicubic_interp"}')


class Activated(nets.PlainNet):
    """An activation behind a convolution, behind its BatchNorm, behind a sum, and behind joined maps."""

    def __init__(self, activation):
        super().__init__()
        self.activation = activation

    def forward(self, x):
        y = self.conv1(self.activation(self.bn(self.stem(x))))
        other = self.activation(self.conv1(self.activation(self.stem(x))))
        y, other = self.activation(self.conv2(y)), self.activation(self.conv2(other))
        joined = self.activation(paddle.concat([self.point(y), self.point(other)], axis=1))
        return self.activation(self.point(y) + self.point(other)), joined


ACTIVATIONS = {
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "relu": F.relu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "gelu": F.gelu,
    "clip": lambda x: paddle.clip(x, -0.3, 0.4),
    "mish": F.mish,
}


@on_paddle_3  # Paddle 2's engine computes something else here, and the check of the export says so
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_behind_convolutions_and_behind_joined_ones(tmp_path, name):
    model = nets.trained(convert(Activated(ACTIVATIONS[name]), input_shape=SHAPE))
    folder = export(model, tmp_path / "out", SHAPE, tune=False, dynamic_batch=True)
    manifest = read_manifest(folder)
    assert manifest.error <= 1e-4
    if (folder / "model.json").exists():
        assert "conv_concat_activation_onednn_fuse_pass" in manifest.deleted_passes
        leaky = "conv_activation_onednn_fuse_pass" in manifest.deleted_passes
        assert leaky == (name == "leaky")
