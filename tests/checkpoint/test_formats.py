"""Files and folders that are no checkpoints are called what they are; wrong contents are one line."""

import json
import pickle
import time
import zipfile

import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import CheckpointError, convert, load, save
from spconvify.checkpoint import read_state, write_state
from spconvify.checkpoint.channels import check_channels
from spconvify.checkpoint.unpickling import unpickle
from spconvify.source.loading import is_checkpoint


def message(path):
    with pytest.raises(CheckpointError) as error:
        read_state(path)
    text = str(error.value)
    assert text.startswith(f"can't read {path}: ")
    assert "\n" not in text
    return text


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    net = nn.Sequential(nn.Conv2D(3, 8, 3), nn.BatchNorm2D(8))
    net.eval()
    spec = [paddle.static.InputSpec([1, 3, 8, 8], "float32")]
    paddle.jit.save(net, str(folder / "inference"), input_spec=spec)
    return folder


def test_an_exported_program(exported, tmp_path):
    for file in exported.iterdir():
        assert "exported program" in message(file), file
        renamed = tmp_path / f"{file.suffix[1:]}.pdparams"
        renamed.write_bytes(file.read_bytes())
        if file.suffix in (".pdmodel", ".json", ".pdiparams"):
            assert "exported program" in message(renamed), file
    for place in (exported, exported / "inference"):
        assert "exported program" in message(place)
        assert is_checkpoint(str(place))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("m.onnx", b"anything", "an ONNX model"),
        ("m.pdparams", b"\x08\x08\x12\x07pytorch\x1a\x051.2.0", "an ONNX model"),
        ("m.pth", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"more", "a PyTorch checkpoint"),
        ("m.pdopt", b"\x80\x04}", "state of an optimizer"),
        ("m.pdparams", b"\x89HDF\r\n", "HDF5"),
        ("m.pdparams", b"\x1f\x8b\x08\x00", "packed archive"),
        ("m.pdparams", b"<!DOCTYPE html><html>", "a web page"),
        ("m.pdparams", b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("m.pdparams", b"\x93NUMPY\x01\x00", "an array (.npy)"),
        ("m.pdparams", b"hello", "neither a .pdparams nor"),
        ("m.pdparams", b"", "empty"),
    ],
)
def test_other_files(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    assert says in message(tmp_path / name)


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        ("archive/data.pkl", "a PyTorch checkpoint"),
        ("images.npy", "a file of arrays (.npz)"),
        ("readme.txt", "a zip archive"),
    ],
)
def test_archives(tmp_path, inside, says):
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w") as archive:
        archive.writestr(inside, b"x")
    assert says in message(tmp_path / "x.ckpt")
    (tmp_path / "x.ckpt").write_bytes(b"PK\x03\x04 damaged")
    assert "a zip archive" in message(tmp_path / "x.ckpt")


def test_folders(tmp_path):
    assert "it is a folder; name a .pdparams file in it" in message(tmp_path)
    (tmp_path / "best.pdparams").write_bytes(b"")
    assert message(tmp_path).endswith("such as best.pdparams")
    (tmp_path / "x.onnx").write_bytes(b"")
    assert "a folder with an ONNX model" in message(tmp_path)


def test_a_folder_called_like_a_network_is_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("resnet18", "deploy"):
        (tmp_path / name).mkdir()
    assert not is_checkpoint("resnet18")
    assert is_checkpoint("deploy")
    assert not is_checkpoint("package.module:factory")


def safetensors(path, header, data=b"\0" * 4):
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def test_safetensors_without_metadata(tmp_path):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path = safetensors(tmp_path / "x.safetensors", {"__metadata__": None, "a": entry})
    assert read_state(path)["a"].tolist() == [0]


@pytest.mark.parametrize("metadata", [3, "text", ["a"], {"spconvify_sha256": 5}, {"a": None}])
def test_safetensors_with_wrong_metadata(tmp_path, metadata):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path = safetensors(tmp_path / "x.safetensors", {"__metadata__": metadata, "a": entry})
    message(path)


def test_arrays_of_a_big_endian_machine(tmp_path):
    layer = nn.Conv2D(4, 8, 3)
    state = {key: value.numpy() for key, value in layer.state_dict().items()}
    swapped = {key: value.astype(value.dtype.newbyteorder(">")) for key, value in state.items()}
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(swapped, 4))
    loaded = load(tmp_path / "x.pdparams", nn.Conv2D(4, 8, 3))
    np.testing.assert_array_equal(loaded.weight.numpy(), state["weight"])


EMPTY = b"\x80\x04}q\x00"  # a dictionary that the memo has as 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (EMPTY + b"X\x01\x00\x00\x00ah\x00s.", "no parameters"),  # a dictionary in itself
        (EMPTY + b"X\x01\x00\x00\x00a}s.", "no parameters"),
        (b"\x80\x04" + b"}X\x01\x00\x00\x00a" * 5000 + b"}" + b"s" * 5000 + b".", "no parameters"),
    ],
)
def test_dictionaries_in_one_another(tmp_path, content, says):
    (tmp_path / "x.pdparams").write_bytes(content)
    assert says in message(tmp_path / "x.pdparams")


def test_dictionaries_of_the_same_dictionaries_take_no_time(tmp_path):
    content = {"w": np.ones(1)}
    for _ in range(8):
        content = {str(key): content for key in range(7)}
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(content, 4))
    start = time.monotonic()
    assert len(read_state(tmp_path / "x.pdparams")) == 1
    assert time.monotonic() - start < 2


def test_a_dictionary_at_two_places_is_read_once(tmp_path):
    weights = {"w": np.ones(1)}
    path = tmp_path / "x.pdparams"
    path.write_bytes(pickle.dumps({"best": weights, "last": weights}, 4))
    assert list(read_state(path)) == ["best.w"]
    with open(path, "rb") as file:
        content = unpickle(file, path.stat().st_size)
    assert content["best"] is content["last"]


def test_long_names_are_not_multiplied(tmp_path):
    content = {"n" * 5000: {f"{number}": np.ones(1) for number in range(9)}}
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(content, 4))
    assert "thousands of letters" in message(tmp_path / "x.pdparams")


def test_two_of_one_name(tmp_path):
    content = {"a.b": np.ones(1), "a": {"b": np.zeros(1)}}
    (tmp_path / "x.pdparams").write_bytes(pickle.dumps(content, 4))
    assert "two parameters called 'a.b'" in message(tmp_path / "x.pdparams")


@pytest.fixture
def converted():
    model = convert(nn.Sequential(nn.Conv2D(8, 8, 3, padding=1)), fusion="sum")
    state = {key: value.numpy() for key, value in model.state_dict().items()}
    return {**state, "0.channels": np.arange(8)[::-1].copy()}


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (3, 10**9, "1000000000 at place 3, and not one of 0 to 7"),
        (0, -1, "-1 at place 0, and not one of 0 to 7"),
        (5, 7, "7 at place 5, a second time"),
    ],
)
def test_channels_that_are_no_permutation(tmp_path, converted, place, value, says):
    converted["0.channels"][place] = value
    write_state(tmp_path / "x.pdparams", converted)
    with pytest.raises(CheckpointError) as error:
        load(tmp_path / "x.pdparams", nn.Sequential(nn.Conv2D(8, 8, 3, padding=1)))
    assert f"'0.channels' isn't a permutation of its 8 channels: {says}" in str(error.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_channels_of_another_dtype_are_integers_again(tmp_path, converted, dtype):
    expected = converted["0.channels"]
    state = {**converted, "0.channels": expected.astype(dtype)}
    check_channels(state, "x")
    assert state["0.channels"].dtype == np.int64
    np.testing.assert_array_equal(state["0.channels"], expected)
    write_state(tmp_path / "x.pdparams", {**converted, "0.channels": expected.astype(dtype)})
    loaded = load(tmp_path / "x.pdparams", nn.Sequential(nn.Conv2D(8, 8, 3, padding=1)))
    assert loaded[0].channels.tolist() == expected.tolist()
    save(loaded, tmp_path / "again.pdparams")


def test_channels_that_are_not_whole_numbers(converted):
    for wrong in (0.5, np.nan, np.inf):
        channels = converted["0.channels"].astype("float32")
        channels[2] = wrong
        with pytest.raises(CheckpointError, match="at place 2"):
            check_channels({**converted, "0.channels": channels}, "x")
