"""Every form of calibration images, and every wrong one."""

from __future__ import annotations

import numpy as np
import paddle
import pytest

from spconvify.calibration.images import CalibrationImages
from spconvify.errors import ArgumentError

X = np.arange(5 * 2 * 4 * 4, dtype="float32").reshape(5, 2, 4, 4)


class Labelled(paddle.io.Dataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[index], index


FORMS = {
    "array": lambda: X,
    "list": lambda: [X[:2], X[2:]],
    "tensors": lambda: [paddle.to_tensor(X[:3]), paddle.to_tensor(X[3:])],
    "half": lambda: [X.astype("float16")],
    "pairs": lambda: [(X[:1], [7]), (X[1:], [1, 2, 3, 4])],
    "generator": lambda: (X[i : i + 1] for i in range(5)),
    "loader": lambda: paddle.io.DataLoader(Labelled(), batch_size=2, num_workers=0),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_gives_the_same_batches_again_and_again(form):
    calibration = CalibrationImages(form())
    assert calibration.count == 5
    assert calibration.first().shape == (1, 2, 4, 4)
    for _ in range(2):
        batches = list(calibration)
        np.testing.assert_array_equal(np.concatenate(batches), X.astype(batches[0].dtype))
        assert batches[0].dtype == np.float32


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "calibration is empty"),
        ([X[:0]], "calibration is empty"),
        ([X, X[0]], "calibration batch 1 is 2x4x4"),
        ((X, np.arange(5)), "calibration batch 1 is 5; it must be"),
        ([X, X * np.nan], "calibration batch 1 holds NaN or infinity"),
        ([X + np.inf], "calibration batch 0 holds NaN or infinity"),
        ([X, X * 1e30], r"calibration batch 1 holds values up to .*e\+32"),
        (["cat.png"], "calibration batch 0 is a str"),
        ([X, X.astype("uint8")], "calibration batch 1 is of uint8: pixels, that is"),
        ([X.astype("int64")], "calibration batch 0 is of int64: pixels, that is"),
        ([paddle.to_tensor(X).astype("int32")], "calibration batch 0 is of int32: pixels"),
        ([X > 3], "calibration batch 0 is of bool: pixels"),
        ([X * 1j], "calibration batch 0 is of complex"),
        ([{"image": X}], "calibration batch 0 is a dict"),
    ],
)
def test_says_what_is_wrong(batches, message):
    with pytest.raises(ArgumentError, match=message):
        CalibrationImages(batches)


def test_large_batches_are_cut_so_that_memory_stays_flat():
    images = CalibrationImages(np.zeros((20, 3, 224, 224), "float32"))
    assert [len(batch) for batch in images] == [8, 8, 4]
    assert [len(batch) for batch in CalibrationImages(np.zeros((2, 900, 900, 3)))] == [1, 1]
    assert images.count == 20


def test_a_seeded_quarter_is_left_out():
    images = CalibrationImages([X, X[:3] + 100, X + 200])
    to_fit, left_out = images.split(seed=1)
    assert (to_fit.count, left_out.count) == (10, 3)
    parts = [np.concatenate(list(part)) for part in (to_fit, left_out)]
    together = np.sort(np.concatenate(parts).sum((1, 2, 3)))
    np.testing.assert_array_equal(together, np.sort(np.concatenate(list(images)).sum((1, 2, 3))))
    np.testing.assert_array_equal(np.concatenate(list(images.split(seed=1)[1])), parts[1])
    assert not np.array_equal(np.concatenate(list(images.split(seed=2)[1])), parts[1])


@pytest.mark.parametrize(("count", "left"), [(1, 0), (3, 0), (4, 1), (5, 1), (8, 2)])
def test_of_fewer_than_four_images_none_is_left_out(count, left):
    to_fit, left_out = CalibrationImages([np.ones((count, 2, 4, 4), "float32")]).split()
    assert (to_fit.count, left_out.count if left_out else 0) == (count - left, left)


class Many(paddle.io.Dataset):
    """So many that two orders aren't the same by chance."""

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return X[0] + index


def test_a_loader_that_shuffles_is_kept_so_that_what_is_left_out_stays_left_out():
    images = CalibrationImages(paddle.io.DataLoader(Many(), batch_size=8, shuffle=True, num_workers=0))
    _, left_out = images.split()
    seen = [np.concatenate(list(left_out)).sum() for _ in range(4)]
    assert len(set(seen)) == 1


@pytest.mark.parametrize("seed", [-1, 1.5, "a", None])
def test_wrong_seeds(seed):
    with pytest.raises(ArgumentError, match="isn't a whole number from 0 on"):
        CalibrationImages(X).split(seed)


@pytest.mark.parametrize("calibration", [5, "images/", b"images", {"images": np.zeros((4, 3, 8, 8))}])
def test_what_holds_no_batches_is_named(calibration):
    with pytest.raises(
        ArgumentError, match=f"calibration is of type {type(calibration).__name__}; give"
    ):
        CalibrationImages(calibration)


def test_a_mask_isnt_lost():
    images = np.ma.masked_greater(np.ones((4, 3, 8, 8), "float32"), 0.5)
    with pytest.raises(ArgumentError, match="calibration batch 0 is masked"):
        CalibrationImages([images])
    assert CalibrationImages([np.ma.asarray(images.data)]).count == 4


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_labels_belong_to_images_in_one_order(form):
    CalibrationImages(form()).check_in_order("eval_data")


def test_labels_do_not_belong_to_images_that_are_shuffled():
    np.random.seed(0)
    shuffled = paddle.io.DataLoader(Labelled(), batch_size=1, shuffle=True, num_workers=0)
    with pytest.raises(ArgumentError, match="the images of eval_data are others each time"):
        CalibrationImages(shuffled).check_in_order("eval_data")


class Drawn(paddle.io.IterableDataset):
    """Images that are others each time; a loader of them has no length."""

    def __iter__(self):
        yield from (X[0] * np.random.default_rng().random() for _ in range(5))


def test_a_loader_without_a_length_is_kept():
    calibration = CalibrationImages(paddle.io.DataLoader(Drawn(), batch_size=2, num_workers=0))
    assert calibration.count == 5
    first, second = (np.concatenate(list(calibration)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
