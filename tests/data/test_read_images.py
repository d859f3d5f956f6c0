"""Calibration images from folders and arrays: size, channels, statistics, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from spconvify import ArgumentError
from spconvify.data.sample import sample_rows
from spconvify.images import IMAGENET_MEAN, IMAGENET_STD, Preparation, read_images

RGB = Preparation(3, (6, 4))
GREY = Preparation(1, (6, 4))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deeper").mkdir()
    for index, name in enumerate(("a.png", "b.jpg", "deeper/c.bmp")):
        Image.new("RGB", (9, 7), (40 * index, 80, 120)).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG not really")
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_folder(folder):
    images = read_images(folder, RGB)
    assert images.values.shape == (3, 3, 6, 4)
    assert images.values.dtype == np.float32
    expected = (np.array([0, 80, 120]) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(images.values[0, :, 2, 2], expected, rtol=1e-5)
    assert [name.endswith("broken.png") for name in images.skipped] == [True]
    assert "resized to 6x4, mean 0.485,0.456,0.406 and std 0.229,0.224,0.225" in images.note


def test_blue_first(folder, tmp_path):
    """Of pictures and of arrays of pixels alike; floats that are taken as they are can't be turned."""
    bgr = Preparation(3, (6, 4), bgr=True)
    images = read_images(folder, bgr)
    expected = (np.array([120, 80, 0]) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    np.testing.assert_allclose(images.values[0, :, 2, 2], expected, rtol=1e-5)
    assert "resized to 6x4, BGR, mean 0.485" in images.note
    np.save(tmp_path / "x.npy", np.broadcast_to(np.array([0, 80, 120], "uint8"), (2, 6, 4, 3)))
    images = read_images(tmp_path / "x.npy", bgr)
    np.testing.assert_allclose(images.values[0, :, 2, 2], expected, rtol=1e-5)
    assert "from x.npy, BGR, mean 0.485" in images.note
    np.save(tmp_path / "floats.npy", np.zeros((2, 3, 6, 4), "float32"))
    with pytest.raises(ArgumentError, match="taken as they are, which bgr=True can't turn around"):
        read_images(tmp_path / "floats.npy", bgr)


def test_folder_options(folder):
    assert len(read_images(folder, RGB, count=2).values) == 2
    own = Preparation(1, (6, 4), resize=(5, 8), mean=(0.0,), std=(1.0,))
    values = read_images(folder, own).values
    assert values.shape == (3, 1, 5, 8)
    assert 0 <= values.min() <= values.max() <= 1


@pytest.mark.parametrize("shape", [(4, 6, 5), (4, 1, 6, 5), (4, 6, 5, 1)])
def test_uint8_arrays_are_normalised(tmp_path, shape):
    pixels = np.full(shape, 255, "uint8")
    np.savez(tmp_path / "x.npz", images=pixels, labels=np.arange(4), mean=0.2, std=0.4)
    images = read_images(tmp_path / "x.npz", GREY, count=3)
    np.testing.assert_allclose(images.values, np.full((3, 1, 6, 5), 2.0), rtol=1e-6)
    assert images.labels.tolist() == sample_rows(4, 3).tolist()
    np.save(tmp_path / "x.npy", pixels)
    np.testing.assert_allclose(read_images(tmp_path / "x.npy", GREY).values, 1.0)


def test_float_arrays_are_taken_as_they_are(tmp_path):
    values = np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype("float32")
    np.save(tmp_path / "x.npy", values)
    images = read_images(tmp_path / "x.npy", RGB)
    np.testing.assert_array_equal(images.values, values)
    assert images.labels is None


def test_refused_files(tmp_path, folder):
    def message(path, preparation=RGB):
        with pytest.raises(ArgumentError) as error:
            read_images(path, preparation)
        return str(error.value)

    assert "there is no such file or folder" in message(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no readable image in this folder" in message(empty)
    (tmp_path / "text.npz").write_text("hello")
    assert "not a folder, an .npy or an .npz" in message(tmp_path / "text.npz")
    (tmp_path / "1.PNG").write_bytes(b"\x89PNG")
    assert "a single picture; give a folder that holds them" in message(tmp_path / "1.PNG")
    np.save(tmp_path / "nan.npy", np.full((2, 3, 4, 4), np.nan, "float32"))
    assert "holds NaN or infinity" in message(tmp_path / "nan.npy")
    np.save(tmp_path / "flat.npy", np.zeros((2, 3)))
    assert "holds no array (N, C, H, W)" in message(tmp_path / "flat.npy")
    np.save(tmp_path / "none.npy", np.zeros((0, 3, 4, 4)))
    assert "holds no images" in message(tmp_path / "none.npy")
    np.save(tmp_path / "five.npy", np.zeros((2, 5, 4, 4)))
    assert "5 channels, and the network takes 3" in message(tmp_path / "five.npy")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    assert "not a folder, an .npy" in message(tmp_path / "objects.npy")
    assert "std 0 isn't positive" in message(folder, Preparation(3, (6, 4), std=(0.0,)))
    assert "2 numbers of mean or std for 3 channels" in message(
        folder, Preparation(3, (6, 4), mean=(0.0, 1.0))
    )
