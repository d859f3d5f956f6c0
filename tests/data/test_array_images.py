"""Images and labels from arrays: scaled, normalised, resized, sampled, or refused with the reason."""

from pathlib import Path

import numpy as np
import pytest

from spconvify import ArgumentError
from spconvify.data.preparation import Preparation
from spconvify.data.reading import check_labelled, read_images

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 3, 6, 6))
RIGHT = ((PIXELS / 255 - 0.4) / 0.2).astype("float32")
RGB, OWN = Preparation(3, (6, 6)), Preparation(3, (6, 6), mean=(0.4,), std=(0.2,))


@pytest.fixture
def read(tmp_path):
    def call(preparation=RGB, count=None, path=tmp_path / "x.npz", **arrays):
        np.savez(path, **arrays)
        return read_images(path, preparation, count)

    return call


@pytest.fixture
def refused(read):
    def call(*arguments, **arrays):
        with pytest.raises(ArgumentError) as caught:
            read(*arguments, **arrays)
        assert "x.npz: " in str(caught.value)
        return str(caught.value)

    return call


@pytest.mark.parametrize(
    "pixels",
    [
        PIXELS.astype("uint8"),
        PIXELS,
        PIXELS.astype("int32"),
        PIXELS.astype("int16"),
        PIXELS.astype("uint16"),
        PIXELS.astype(">i8"),
        (PIXELS * 257).astype("uint16"),
        (PIXELS * 257).astype("int32"),
        (PIXELS * 257).astype(">u2"),
        PIXELS.astype("float32"),
        PIXELS.astype("float16"),
        PIXELS / 255,
        (PIXELS / 255).astype(">f4"),
        PIXELS.transpose(0, 2, 3, 1),
        np.asfortranarray(PIXELS.astype("uint8")),
    ],
)
@pytest.mark.parametrize("source", ["options", "file"])
def test_pixels_of_any_dtype_give_the_same_input(read, pixels, source):
    if source == "options":
        images = read(OWN, images=pixels)
    else:
        images = read(RGB, images=pixels, mean=np.full((1, 3, 1, 1), 102.0), std=np.float64(51))
    assert images.values.dtype == np.float32
    np.testing.assert_allclose(images.values, RIGHT, atol=1e-4)
    assert images.statistics.mean[0] == pytest.approx(0.4)
    assert "mean 0.4" in images.note


def test_the_note_says_how_floats_were_understood(read):
    assert "float32 of 0..255, mean 0.4" in read(OWN, images=PIXELS.astype("float32")).note
    assert "float64 of 0..1, mean 0.4" in read(OWN, images=PIXELS / 255).note
    assert "floats taken as they are" in (as_they_are := read(images=RIGHT)).note
    assert as_they_are.statistics is None
    assert as_they_are.white is None
    assert "they look like pixels of 0..255" in read(images=PIXELS.astype("float32")).note


def test_options_that_cannot_act_are_errors(refused):
    text = refused(OWN, images=RIGHT)
    assert "can't act on them; leave those out" in text
    assert "its mean and std can't act on them" in refused(images=RIGHT, mean=0.4, std=0.2)
    assert "go from 0 to 3" in refused(OWN, images=np.linspace(0, 3, 108).reshape(1, 3, 6, 6))


def test_what_is_no_image(refused):
    assert "bool, as masks are" in refused(images=PIXELS > 3)
    assert "go from -5 to 250" in refused(images=PIXELS - 5)
    assert "not an array of numbers" in refused(images=PIXELS * 1j)
    assert "not an array of numbers" in refused(images=np.zeros((8, 6, 6), [("r", "u1"), ("g", "u1")]))
    assert "aren't unpickled" in refused(images=np.array([None, PIXELS], object))
    assert "but a scalar" in refused(images=np.float32(1))
    assert "holds NaN or infinity" in refused(images=np.full((2, 3, 6, 6), 1e300))
    assert "holds NaN or infinity" in refused(OWN, images=np.full((2, 3, 6, 6), np.inf))
    assert "'mean' is of dtype <U3" in refused(images=PIXELS, mean=np.array("abc"))
    assert "its mean is 9x9x9x9" in refused(images=PIXELS, mean=np.zeros((9, 9, 9, 9)))


def test_images_are_called_so_or_the_only_ones(read, refused):
    grey, masks = Preparation(1, (6, 6)), np.zeros((8, 6, 6), "uint8")
    objects = np.array(["a", None, {}], object)
    assert read(grey, masks=PIXELS, images=masks, names=objects).values.shape == (8, 1, 6, 6)
    assert read(grey, names=objects, arr_0=masks, ids=np.arange(8)).values.shape == (8, 1, 6, 6)
    assert "which of masks, img is it?" in refused(grey, masks=masks, img=masks[..., None])
    for name in ("mask", "masks", "Masks", "labels", "y"):
        assert "no array (N, C, H, W) called 'images'" in refused(grey, **{name: masks})
    assert "called 'images'" in refused(grey)


def test_resize_acts_on_arrays(read):
    preparation = Preparation(3, (6, 6), (12, 9), (0.4,), (0.2,))
    images = read(preparation, images=PIXELS.astype("uint8"))
    assert images.values.shape == (8, 3, 12, 9)
    assert images.note.endswith("; resized to 12x9")
    np.testing.assert_allclose(images.values.mean(), RIGHT.mean(), atol=0.1)
    flat = read(preparation, images=np.full((1, 3, 6, 6), 102, "uint8"))
    np.testing.assert_allclose(flat.values, 0, atol=1e-5)
    assert read(Preparation(3, (6, 6), (3, 3)), images=RIGHT).values.shape == (8, 3, 3, 3)


def test_a_sample_of_all_with_its_labels(read):
    images = np.repeat(np.arange(100), 4).reshape(100, 1, 2, 2).astype("uint8")
    found = read(
        Preparation(1, (2, 2), mean=(0.0,), std=(1.0,)), 20, images=images, labels=np.arange(100)
    )
    assert found.labels.max() > 90
    np.testing.assert_allclose(found.values[:, 0, 0, 0] * 255, found.labels, rtol=1e-5)
    assert found.note.endswith("; a sample of 100, spread over all")


def test_names_that_no_file_has():
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(ArgumentError, match="there is no such file or folder"):
            read_images(Path(name), RGB)


def test_one_picture(read):
    single = read(OWN, images=PIXELS[0].transpose(1, 2, 0), labels=[3])
    np.testing.assert_allclose(single.values, RIGHT[:1], atol=1e-5)
    assert single.labels.tolist() == [3]
    assert single.note.startswith("1 image of 6x6")


def test_channels_last(read):
    own = Preparation(3, (6, 6), mean=(0.4,), std=(0.2,), layout="NHWC")
    for pixels in (PIXELS, PIXELS.transpose(0, 2, 3, 1)):
        found = read(own, images=pixels)
        np.testing.assert_allclose(found.values, RIGHT.transpose(0, 2, 3, 1), atol=1e-5)
        assert found.layout == "NHWC"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat"] * 8, "'labels' is of dtype <U3"),
        ([*range(7), np.nan], "label 7 is nan"),
        ([*range(7), -1], "label 7 is -1, which is negative"),
        ([*range(7), 1.5], "label 7 is 1.5, which isn't a whole number"),
        (range(7), "the labels are 7 for 8 images"),
        (np.eye(8), "the labels are 8x8 for 8 images"),
        (np.zeros((8, 6, 6), int), "the labels are 8x6x6 for 8 images"),
        (np.array([{}] * 8, object), "aren't unpickled"),
    ],
)
def test_labels_are_found_before_the_images_are_read(tmp_path, refused, labels, message):
    labels = labels if isinstance(labels, np.ndarray) else np.array(list(labels))
    assert message in refused(images=PIXELS, labels=labels)
    with pytest.raises(ArgumentError, match=message.replace("(", r"\(")):
        check_labelled(tmp_path / "x.npz")


def test_labels_that_are_not_wanted_are_not_looked_at(tmp_path):
    np.savez(tmp_path / "x.npz", images=PIXELS, labels=["cat"])
    assert read_images(tmp_path / "x.npz", RGB, labels=False).labels is None


def test_an_evaluation_needs_labels(tmp_path):
    np.save(tmp_path / "x.npy", PIXELS)
    np.savez(tmp_path / "y.npz", images=PIXELS, label=np.arange(8))
    for name in ("x.npy", "y.npz", "."):
        with pytest.raises(ArgumentError, match="needs a file with labels"):
            check_labelled(tmp_path / name)
    for images, labels in ((PIXELS, np.arange(8)[:, None]), (PIXELS[0], [3]), (PIXELS[:, 0], range(8))):
        np.savez(tmp_path / "z.npz", images=images, labels=labels)
        check_labelled(tmp_path / "z.npz")
