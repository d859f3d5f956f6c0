"""spconvify verify: what it says of whole, damaged and foreign files."""

import json

import numpy as np
import paddle
import pytest
from command_line import one_line_error

import spconvify
from spconvify.checkpoint import write_state
from spconvify.zoo.cifar import resnet20


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("verify") / "sp.pdparams"
    spconvify.save(spconvify.convert(resnet20(num_classes=7)), path)
    return path


def test_a_whole_file(run, file):
    code, text, _ = run("verify", file)
    assert code == 0
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "checksum right" in lines
    assert "network resnet20" in lines
    assert "SPConv layers 18" in lines
    data = json.loads(run("verify", file, "--format", "json")[1])
    assert (data["checksum"], data["architecture"], data["spconv_layers"]) == (True, "resnet20", 18)


def test_a_damaged_file(run, file, tmp_path):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    (tmp_path / "x.pdparams").write_bytes(content)
    assert "its checksum is wrong" in one_line_error(run("verify", tmp_path / "x.pdparams"), 1)


def test_a_file_of_another_tool_and_another_network(run, tmp_path):
    paddle.save({"w": paddle.ones([3])}, str(tmp_path / "x.pdparams"))
    code, text, _ = run("verify", tmp_path / "x.pdparams")
    assert code == 0
    assert "none (spconvify writes one" in text
    assert "none that spconvify knows" in text


def test_channels_that_are_no_permutation(run, tmp_path):
    state = arrays_of(
        spconvify.convert(spconvify.zoo.find("resnet20").build(), include="layer1.0.conv1", fusion="sum")
    )
    write_state(tmp_path / "x.pdparams", {**state, "layer1.0.conv1.channels": np.zeros(16, "int64")})
    error = one_line_error(run("verify", tmp_path / "x.pdparams"), 1)
    assert "'layer1.0.conv1.channels' isn't a permutation" in error


def arrays_of(model):
    return {key: value.numpy() for key, value in model.state_dict().items()}
