"""--force replaces what an earlier export wrote, and nothing else."""

import errno
import json
import os

import pytest

from spconvify import ArgumentError, SpconvifyError
from spconvify.deploy.folder import check_folder, exported_files, put_in_place
from spconvify.files import places
from spconvify.files.scratch import scratch_folder

OURS = {"spconvify": "0.1", "engine": "inference", "bytes": {"model.json": 7, "model.pdiparams": 7}}


def export_into(folder, manifest=OURS):
    folder.mkdir()
    for name in ("model.json", "model.pdiparams"):
        (folder / name).write_text("program")
    text = manifest if isinstance(manifest, str) else json.dumps(manifest)
    (folder / "manifest.json").write_text(text)
    return folder


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in
        sorted(folder.rglob("*"))
    }  # fmt: skip


def refused(folder, match):
    before = tree(folder.parent)
    with pytest.raises(ArgumentError, match=match):
        check_folder(folder, overwrite=True)
    with scratch_folder(folder) as made:
        (made / "model.onnx").touch()
        with pytest.raises(ArgumentError, match=match):
            put_in_place(made, folder, True, OURS)
    assert tree(folder.parent) == before


def test_an_earlier_export_and_an_empty_folder_are_replaced(tmp_path):
    (tmp_path / "empty").mkdir()
    export_into(tmp_path / "full")
    (tmp_path / "full" / "model.json").unlink()  # one fewer is no loss
    for name in ("empty", "full"):
        check_folder(tmp_path / name, overwrite=True)
        with scratch_folder(tmp_path / name) as made:
            (made / "model.onnx").write_text("onnx")
            put_in_place(made, tmp_path / name, True, OURS)
        assert tree(tmp_path / name).keys() == {"manifest.json", "model.onnx"}
    assert exported_files(tmp_path / "full") == OURS["bytes"]


@pytest.mark.parametrize(
    "manifest",
    [
        '{"name": "My web app"}', '{"manifest_version": 3, "name": "extension", "version": "1"}', "",
        "[]", "null", '"spconvify"', "[" * 100_000, "{", "\x00\xff", '{"spconvify": "0.1"}',
        {**OURS, "engine": "node 18"}, {**OURS, "bytes": {"thesis.txt": 7}},
        {**OURS, "spconvify": 1}, {**OURS, "bytes": ["model.json"]}, {**OURS, "bytes": {"../x": 7}},
        {**OURS, "bytes": {"/etc/passwd": 7}}, {**OURS, "bytes": {"a/b": 7}},
        {**OURS, "bytes": {"..": 7}}, {**OURS, "bytes": {"a\\b": 7}}, {**OURS, "bytes": {"": 7}},
    ],
)  # fmt: skip
def test_a_manifest_of_something_else(tmp_path, manifest):
    refused(
        export_into(tmp_path / "out", manifest), "isn't from an earlier export.*no manifest.json of spco"
    )


MODEL = "'model.json'"


def add(folder, name, text="precious"):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: add(d, "NOTES.txt"), "'NOTES.txt'"),
        (lambda d: add(d, "labels/l.txt"), "'labels'"),
        (lambda d: (d / "empty").mkdir(), "'empty'"),
        (lambda d: add(d, ".hidden"), "'.hidden'"),
        (lambda d: add(d, "MODEL.JSON"), "'MODEL.JSON'"),
        (lambda d: (d / "away").symlink_to(d.parent), "'away'"),
        (lambda d: add(d, "model.json", "my own changes"), "'model.json'"),
        (lambda d: ((d / "model.json").unlink(), add(d, "model.json/mine")), "'model.json'"),
        (lambda d: ((d / "model.json").unlink(), (d / "model.json").symlink_to("/etc")), "'model.json'"),
        # A link's size is that of its text, here that of the file that was there.
        (lambda d: ((d / "model.json").unlink(), (d / "model.json").symlink_to("program")), MODEL),
        (lambda d: ((d / "model.json").unlink(), os.mkfifo(d / "model.json")), "'model.json'"),
        (lambda d: [add(d, f"{n}.txt") for n in range(5)], "'0.txt', '1.txt', '2.txt' and 2 more"),
    ],
)
def test_what_else_is_in_an_earlier_export(tmp_path, change, named):
    folder = export_into(tmp_path / "out")
    change(folder)
    refused(folder, f"holds what no export left there: {named}; move it elsewhere")


def test_weights_of_the_same_size_are_somebodys_own(tmp_path):
    """Those of the same network, trained further, always have it."""
    target = tmp_path / "out"
    with scratch_folder(target) as made:
        (made / "model.json").write_text("program")
        (made / "model.pdiparams").write_text("weights")
        put_in_place(made, target, False, OURS)
    check_folder(target, overwrite=True)
    (target / "model.pdiparams").write_text("trained")
    refused(target, "holds what no export left there: 'model.pdiparams'")


def test_a_link_that_takes_the_folders_place_meanwhile(tmp_path):
    target, other = export_into(tmp_path / "out"), export_into(tmp_path / "other")
    check_folder(target, overwrite=True)
    with scratch_folder(target) as made:
        (made / "model.onnx").touch()
        target.rename(tmp_path / "moved")
        target.symlink_to(other)
        with pytest.raises(ArgumentError, match="out became a link meanwhile"):
            put_in_place(made, target, True, OURS)
    assert target.is_symlink()
    assert len(tree(other)) == 3


@pytest.mark.parametrize("size", [True, 1.0, "1", None])
def test_a_size_that_is_no_number_of_bytes(tmp_path, size):
    folder = export_into(tmp_path / "out", {**OURS, "bytes": {"model.json": size, "model.pdiparams": 7}})
    (folder / "model.json").write_text("1")
    refused(folder, f"holds what no export left there: {MODEL}")


def test_a_file_that_cant_be_removed(tmp_path, monkeypatch):
    folder = export_into(tmp_path / "out")
    monkeypatch.setattr(places, "_is_immutable", lambda path: path.name == "model.json")
    before = tree(tmp_path)
    with pytest.raises(ArgumentError, match=r"out.model\.json is immutable"):
        check_folder(folder, overwrite=True)
    assert tree(tmp_path) == before


def test_a_manifest_that_is_a_link_or_hangs(tmp_path):
    folder = export_into(tmp_path / "out")
    (folder / "manifest.json").rename(tmp_path / "kept.json")
    (folder / "manifest.json").symlink_to(tmp_path / "kept.json")
    refused(folder, "isn't from an earlier export")
    (folder / "manifest.json").unlink()
    os.mkfifo(folder / "manifest.json")
    with pytest.raises(ArgumentError, match="isn't from an earlier export"):
        check_folder(folder, overwrite=True)


def test_the_current_folder_and_those_that_can_not_be_replaced(tmp_path, monkeypatch):
    folder = export_into(tmp_path / "out")
    monkeypatch.chdir(folder)
    for name in (".", "../out", str(folder)):
        with pytest.raises(ArgumentError, match="is the current folder; choose the name of a new one"):
            check_folder(type(tmp_path)(name), overwrite=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match=r"is a mount point|isn't from an earlier export"):
        check_folder(type(tmp_path)("/proc"), overwrite=True)
    with pytest.raises(ArgumentError, match=r"can't be written.*too long"):
        check_folder(tmp_path / ("x" * 300), overwrite=False)
    monkeypatch.setattr(os, "access", lambda _, mode: mode == os.W_OK)
    with pytest.raises(ArgumentError, match="can't be read and written"):
        check_folder(folder, overwrite=True)


def test_a_place_that_can_not_be_written_to_is_found_first(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkstemp", read_only)
    with pytest.raises(ArgumentError, match="can't be written to: Read-only file system"):
        check_folder(tmp_path / "out", overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_comes_during_the_export_stays(tmp_path, overwrite):
    target = tmp_path / "out"
    check_folder(target, overwrite)
    with scratch_folder(target) as made:
        (made / "model.onnx").touch()
        target.mkdir()
        (target / "thesis.txt").write_text("years")
        with pytest.raises(ArgumentError, match=r"out (exists: it came there|isn't from an earlier)"):
            put_in_place(made, target, overwrite, OURS)
    assert tree(tmp_path) == {"out": b"", "out/thesis.txt": b"years"}


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    made = tmp_path / "made"
    made.mkdir()
    with pytest.raises(SpconvifyError, match=r"can't write .*out: No space left on device"):
        put_in_place(made, tmp_path / "out", False, OURS)
    assert os.listdir(tmp_path) == ["made"]


def test_a_folder_of_a_containers_image(tmp_path, monkeypatch):
    target = export_into(tmp_path / "out")

    def no_rename(*_):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("spconvify.files.placing.exchange", lambda *_: False)
    monkeypatch.setattr("spconvify.files.placing.rename_new", no_rename)
    with (
        scratch_folder(target) as made,
        pytest.raises(SpconvifyError, match="a container's image"),
    ):
        put_in_place(made, target, True, OURS)
    assert exported_files(target) == OURS["bytes"]
