"""Folders of pictures: links, what can't be read, and a sample of all classes."""

import os

import numpy as np
import pytest
from PIL import Image

from spconvify import ArgumentError
from spconvify.data.folder import find_pictures, picture_files, read_folder
from spconvify.data.preparation import Preparation

GREY = Preparation(1, (4, 4), mean=(0.0,), std=(1.0,))


def fill(folder, value, count=6):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("L", (8, 8), value + index).save(folder / f"{index}.png")


def values(images):
    return (images.values[:, 0, 0, 0] * 255).round().astype(int).tolist()


def test_as_many_of_every_class(tmp_path):
    for index in range(5):
        fill(tmp_path / f"class{index}", 40 * index, 3 if index == 2 else 8)
    images = read_folder(tmp_path, GREY, 20, seed=0)
    counts = np.bincount(np.array(values(images)) // 40)
    assert counts.tolist() == [4, 4, 3, 4, 5] or sorted(counts) == [3, 4, 4, 4, 5]
    assert "; a sample of 35, spread over 5 folders" in images.note
    assert values(images) == sorted(values(images))  # in the order of the names
    assert values(read_folder(tmp_path, GREY, 20, seed=0)) == values(images)
    assert values(read_folder(tmp_path, GREY, 20, seed=1)) != values(images)
    assert images.available == 35


def test_a_flat_folder_gives_a_sample_of_all_its_names(tmp_path):
    fill(tmp_path, 0, 100)
    taken = values(read_folder(tmp_path, GREY, 20))
    assert len(set(taken)) == 20
    assert max(taken) > 60
    assert "sample" not in read_folder(tmp_path, GREY, 100).note
    assert "sample" not in read_folder(tmp_path, GREY, 1000).note


def test_links_are_followed_and_circles_end(tmp_path):
    fill(tmp_path / "real", 10)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "class0").symlink_to(tmp_path / "real")
    (tree / "again").symlink_to(tree)
    (tree / "self.png").symlink_to(tree / "self.png")
    (tree / "one.png").symlink_to(tmp_path / "real" / "0.png")
    (tmp_path / "real" / "up").symlink_to(tree)
    names = [str(file.relative_to(tree)) for file in picture_files(tree)]
    assert names == [*(f"class0/{index}.png" for index in range(6)), "one.png", "self.png"]
    images = read_folder(tree, GREY)
    assert len(images.values) == 7
    assert list(images.skipped) == [str(tree / "self.png")]


def test_what_cannot_be_read_is_named_and_replaced(tmp_path, monkeypatch):
    fill(tmp_path / "a", 0)
    fill(tmp_path / "b", 100)
    (tmp_path / "a" / "._0.png").write_bytes(b"\0\5\x16\7" + b"\0" * 99)
    os.mkfifo(tmp_path / "a" / "fifo.png")
    (tmp_path / "folder.png").mkdir()
    images = read_folder(tmp_path, GREY, 13)
    assert len(images.values) == 12
    assert sorted(os.path.basename(file) for file in images.skipped) == ["._0.png", "fifo.png"]
    scan = os.scandir

    def refuses(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("spconvify.data.folder.os.scandir", refuses)
    images = read_folder(tmp_path, GREY)
    assert len(images.values) == 6
    assert images.skipped[str(tmp_path / "b")] == "a folder that can't be read (Permission denied)"


def test_no_picture(tmp_path):
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(ArgumentError, match=r"no readable image.*1 can't be read, such as"):
        read_folder(tmp_path, GREY)
    with pytest.raises(ArgumentError, match="No such file"):
        find_pictures(tmp_path / "nowhere")


def test_a_thousand_folders_in_one_another(tmp_path):
    path = tmp_path
    for _ in range(600):
        path = path / "a"
    path.mkdir(parents=True)
    Image.new("L", (4, 4)).save(path / "x.png")
    assert len(read_folder(tmp_path, GREY).values) == 1


def test_what_was_done_is_said(tmp_path):
    Image.new("RGBA", (4, 4), (1, 2, 3, 0)).save(tmp_path / "a.png")
    Image.fromarray(np.full((4, 4), 65535, "uint16")).save(tmp_path / "b.png")
    note = read_folder(tmp_path, GREY).note
    assert note.endswith("; 1 scaled from more than 8 bits; 1 transparent, put on white")


def test_channels_last(tmp_path):
    fill(tmp_path, 0, 2)
    images = read_folder(tmp_path, Preparation(3, (4, 5), layout="NHWC"))
    assert images.values.shape == (2, 4, 5, 3)
    assert images.layout == "NHWC"
    assert images.statistics is not None


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_dark_pictures_among_others_of_16_bits_stay_dark(tmp_path, suffix):
    for index, value in enumerate((250, 65535, 9000)):
        Image.fromarray(np.full((8, 8), value, "uint16")).save(tmp_path / f"{index}.{suffix}")
    images = read_folder(tmp_path, GREY)
    assert values(images) == [1, 255, 35]
    assert not images.skipped
    assert values(read_folder(tmp_path, GREY, 3, seed=5)) == [1, 255, 35]
    (tmp_path / f"1.{suffix}").unlink()
    alone = read_folder(tmp_path, GREY)  # nothing tells that these have 16 bits
    assert values(alone) == [250]
    assert "go up to 9000" in next(iter(alone.skipped.values()))
