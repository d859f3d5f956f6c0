"""A folder of pictures to train on: what can't be read is left out at the start, or replaced later."""

import numpy as np
import pytest
from PIL import Image

from spconvify import ArgumentError
from spconvify.data.preparation import Preparation
from spconvify.recovery import folder as module
from spconvify.recovery.batches import Batches
from spconvify.recovery.folder import PictureFolder

GREY = Preparation(1, (4, 4), mean=(0.0,), std=(1.0,))


@pytest.fixture
def pictures(tmp_path):
    for index in range(8):
        Image.new("L", (8, 8), 10 * index).save(tmp_path / f"{index}.png")
    return tmp_path


def damage(file):
    file.write_bytes(file.read_bytes()[:50])  # its header is whole


def values(dataset):
    return [round(float(dataset[index].mean()) * 255) for index in range(len(dataset))]


def test_damaged_pictures_are_left_out_at_the_start(pictures):
    whole = PictureFolder(pictures, GREY)
    assert values(whole) == [0, 10, 20, 30, 40, 50, 60, 70]
    damage(pictures / "3.png")
    (pictures / "._0.png").write_bytes(b"\0\5\x16\7")
    looked_at = []
    data = PictureFolder(pictures, GREY, progress=lambda *now: looked_at.append(now))
    assert values(data) == [0, 10, 20, 40, 50, 60, 70]
    assert data.note.startswith("7 images from")
    assert sorted(data.skipped) == [str(pictures / "._0.png"), str(pictures / "3.png")]
    assert looked_at[-1] == (9, 9)
    assert data.fingerprint() != whole.fingerprint()


def test_moving_a_damaged_picture_away_changes_nothing(pictures):
    damage(pictures / "3.png")
    before = PictureFolder(pictures, GREY)
    (pictures / "3.png").unlink()
    after = PictureFolder(pictures, GREY)
    assert values(after) == values(before)
    assert Batches(after, 4).describe() == Batches(before, 4).describe()


def test_a_picture_that_goes_later_is_replaced_by_the_next(pictures):
    data = PictureFolder(pictures, GREY)
    damage(pictures / "3.png")
    (pictures / "7.png").unlink()
    assert values(data) == [0, 10, 20, 40, 40, 50, 60, 0]
    assert sorted(data.skipped) == [str(pictures / "3.png"), str(pictures / "7.png")]
    for file in pictures.iterdir():
        file.unlink()
    with pytest.raises(ArgumentError, match="no readable image in this folder"):
        data[0]


def test_of_a_very_large_folder_the_first_are_looked_at(pictures, monkeypatch):
    monkeypatch.setattr(module, "_CHECKED", 2)
    damage(pictures / "1.png")
    damage(pictures / "7.png")
    data = PictureFolder(pictures, GREY)
    assert list(data.skipped) == [str(pictures / "1.png")]
    assert values(data) == [0, 20, 30, 40, 50, 60, 0]


def test_other_preparations_are_other_data(pictures):
    one, other = (PictureFolder(pictures, Preparation(1, (4, size))) for size in (4, 5))
    assert one.fingerprint() != other.fingerprint()
    assert one.fingerprint() == PictureFolder(pictures, Preparation(1, (4, 4))).fingerprint()


def test_channels_last(pictures):
    data = PictureFolder(pictures, Preparation(3, (4, 5), layout="NHWC"))
    assert data[0].shape == (4, 5, 3)
    with pytest.raises(IndexError):
        data[8]


def test_no_picture(tmp_path):
    (tmp_path / "x.png").write_text("none")
    with pytest.raises(ArgumentError, match=r"no readable image.*x\.png: not a picture"):
        PictureFolder(tmp_path, GREY)
    with pytest.raises(ArgumentError, match="pictures have 1, 3 or 4 channels"):
        PictureFolder(tmp_path, Preparation(2, (4, 4)))


def test_dark_pictures_among_others_of_16_bits_stay_dark(tmp_path):
    for index, value in enumerate((250, 9000, 65535)):
        Image.fromarray(np.full((8, 8), value, "uint16")).save(tmp_path / f"{index}.png")
    data = PictureFolder(tmp_path, GREY)
    assert values(data) == [1, 35, 255]
    assert not data.skipped
