"""A file is complete or not there, whatever happens."""

import os
import pickle
import stat

import numpy as np
import pytest
from safetensors.numpy import load_file

from spconvify import ArgumentError, CheckpointError
from spconvify.checkpoint import check_output, read_state, write_state

STATE = {"w": np.arange(6, dtype="float32").reshape(2, 3)}
SUFFIXES = [".pdparams", ".safetensors"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["replace", "fsync"])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, error, call, suffix):
    path = tmp_path / f"x{suffix}"
    write_state(path, STATE)
    before = path.read_bytes()

    def fail(*_):
        raise error

    monkeypatch.setattr(os, call, fail)
    expected = CheckpointError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        write_state(path, {"w": np.zeros(9)})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_failure_while_pickling_leaves_nothing(tmp_path, monkeypatch):
    class Failing(pickle.Pickler):
        def dump(self, obj):
            super().dump(obj)
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(pickle, "Pickler", Failing)
    with pytest.raises(CheckpointError, match=r"can't write .*x\.pdparams: No space left on device"):
        write_state(tmp_path / "x.pdparams", STATE)
    assert os.listdir(tmp_path) == []


def test_keeps_mode_and_links(tmp_path):
    path, link = tmp_path / "x.pdparams", tmp_path / "link.pdparams"
    write_state(path, STATE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()
    path.chmod(0o640)
    link.symlink_to(path)
    write_state(link, {"w": np.zeros(1)})
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert read_state(path)["w"].shape == (1,)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives away")
def test_keeps_the_owner(tmp_path):
    path = tmp_path / "x.pdparams"
    write_state(path, STATE)
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    write_state(path, STATE)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o640)


@pytest.mark.parametrize("there", ["file", "dangling link", "folder"])
def test_what_comes_meanwhile_is_not_replaced(tmp_path, monkeypatch, there):
    path, fsync = tmp_path / "x.pdparams", os.fsync

    def slow(descriptor):
        fsync(descriptor)
        if there == "file":
            path.write_text("precious")
        elif there == "folder":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / "gone")

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(CheckpointError, match=r"x\.pdparams exists and is as it was; choose"):
        write_state(path, STATE, overwrite=False)
    assert os.listdir(tmp_path) == ["x.pdparams"]
    assert not path.is_file() or path.read_text() == "precious"


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_other_tools_read_our_safetensors(tmp_path):
    state = {**STATE, "order": np.array([1, 0]), "strided": np.arange(12.0).reshape(3, 4)[:, ::2]}
    write_state(tmp_path / "x.safetensors", state)
    loaded = load_file(tmp_path / "x.safetensors")
    for key, value in state.items():
        np.testing.assert_array_equal(loaded[key], value)


def test_bfloat16_is_named_in_safetensors(tmp_path):
    bits = {"w": np.array([0x3F80, 0x4000], "uint16")}
    write_state(tmp_path / "x.safetensors", bits, bfloat16={"w"})
    assert b'"dtype":"BF16"' in (tmp_path / "x.safetensors").read_bytes()
    np.testing.assert_array_equal(read_state(tmp_path / "x.safetensors")["w"], bits["w"])


def test_outputs_that_cannot_be(tmp_path):
    write_state(tmp_path / "there.pdparams", STATE)
    (tmp_path / "folder.pdparams").mkdir()
    for name, message in (
        ("x.pt", "unknown suffix '.pt'; use .pdparams or .safetensors"),
        ("there.pdparams", "exists; replace it with force=True, or choose another name"),
        ("folder.pdparams", "is a folder"),
        ("nowhere/x.pdparams", "doesn't exist; create it first"),
    ):
        with pytest.raises(ArgumentError) as error:
            check_output(tmp_path / name)
        assert message in str(error.value)
    check_output(tmp_path / "there.pdparams", force=True)
    with pytest.raises(ArgumentError, match="is the same file as --teacher"):
        check_output(
            tmp_path / "there.pdparams", force=True, inputs={"--teacher": tmp_path / "there.pdparams"}
        )
    with pytest.raises(ArgumentError, match="can't be written: File name too long"):
        check_output(tmp_path / ("x" * 300 + ".pdparams"))
    check_output(tmp_path / "new.safetensors")
    (tmp_path / "dangling.pdparams").symlink_to(tmp_path / "gone")
    with pytest.raises(ArgumentError, match="isn't a regular file"):
        check_output(tmp_path / "dangling.pdparams")
