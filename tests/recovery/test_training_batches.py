"""Training data: every form it may have, its order, and what is refused."""

from itertools import islice

import numpy as np
import paddle
import pytest

from spconvify import ArgumentError
from spconvify.data.augment import flip_and_shift
from spconvify.recovery.batches import Batches


def numbered(count=10):
    """Images (count, 1, 4, 4) that hold their own number."""
    return np.arange(count, dtype="float32")[:, None, None, None] * np.ones((1, 1, 4, 4), "float32")


class Numbered(paddle.io.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return numbered()[index], np.array([index])


def rows(batches, steps, start=0):
    return [batch.images[:, 0, 0, 0].tolist() for batch in islice(batches.starting_at(start), steps)]


def test_arrays_and_datasets_are_shuffled_alike():
    expected = rows(Batches(numbered(), 4), 4)
    assert rows(Batches(Numbered(), 4), 4) == expected
    assert rows(Batches(paddle.to_tensor(numbered()), 4), 4) == expected
    assert [len(row) for row in expected] == [4] * 4
    assert len({*expected[0], *expected[1]}) == 8  # no image twice in an epoch
    assert expected[2:] != expected[:2]  # another order in the second epoch
    assert rows(Batches(numbered(), 4, seed=1), 4) != expected


def test_labels_stay_with_their_images():
    for data in (Numbered(), (numbered(), np.arange(10))):
        for batch in islice(Batches(data, 3).starting_at(0), 5):
            assert batch.images[:, 0, 0, 0].tolist() == batch.labels.tolist()


@pytest.mark.parametrize(
    "labels",
    [np.arange(10), list(range(10)), np.arange(10)[:, None], paddle.arange(10), np.zeros((10, 4, 4))],
)
def test_labels_of_every_form_are_labels_and_no_batch(labels):
    for data in ((numbered(), labels), [paddle.to_tensor(numbered()), labels]):
        batches = Batches(data, 5)
        assert batches.per_epoch() == 2
        assert len(batches.first().labels) == 5


def test_maps_of_one_channel_are_labels_of_images_with_three():
    images = np.zeros((10, 3, 4, 4), "float32")
    assert Batches((images, images[:, :1]), 5).first().labels.shape == (5, 1, 4, 4)
    assert Batches([images, images], 5).first().labels is None  # two batches


@pytest.mark.parametrize("swap", [False, True])
def test_two_batches_of_several_sizes_are_no_pair(swap):
    data = [np.zeros((6, 3, 4, 4), "float32"), np.zeros((6, 3, 8, 5), "float32")]
    batches = Batches(data[:: -1 if swap else 1], 6).starting_at(0)
    shapes = [batch.images.shape for batch in islice(batches, 4)]
    assert {shape[2:] for shape in shapes} == {(4, 4), (8, 5)}
    last = [value.transpose(0, 2, 3, 1) for value in data]
    assert Batches(last, 6).first().labels is None


class Masked(Numbered):
    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return np.ma.array(image, mask=image == 3), label


def masked(values):
    """The seventh is."""
    return np.ma.array(
        values, mask=np.arange(10).reshape(-1, *[1] * (values.ndim - 1)) + 0 * values == 7
    )


@pytest.mark.parametrize(
    "data",
    [
        masked(numbered()),
        [numbered(), masked(numbered())],
        (masked(numbered()), np.arange(10)),
        (numbered(), masked(np.arange(10))),
        [(numbered(), masked(np.arange(10))), (numbered(), np.arange(10))],
        Masked(),
    ],
)
def test_masked_data_is_refused(data):
    with pytest.raises(ArgumentError, match="is masked; give only what isn't, or fill it"):
        list(islice(Batches(data, 10).starting_at(0), 2))


class Boxes(Numbered):
    """Labels of several shapes, as detectors have."""

    def __getitem__(self, index):
        return numbered()[index], np.zeros((index % 3 + 1, 4))


class Masks(Numbered):
    def __getitem__(self, index):
        return numbered()[index], np.zeros((4, 4), int)


def test_datasets_may_have_labels_that_are_of_no_use_here():
    assert Batches(Boxes(), 5).first().labels.dtype == object
    assert Batches(Masks(), 5).first().labels.shape == (5, 4, 4)


class Ragged(Numbered):
    def __getitem__(self, index):
        return np.zeros((1, 4 + index % 2, 4), "float32")


@pytest.mark.parametrize("start", [1, 2, 5])
@pytest.mark.parametrize("form", ["array", "loader", "list"])
def test_a_later_start_gives_the_same_batches(form, start):
    loader = paddle.io.DataLoader(Numbered(), batch_size=4)
    data = {"array": numbered(), "loader": loader, "list": [numbered(3), numbered(2)]}[form]
    assert rows(Batches(data, 4), 3, start) == rows(Batches(data, 4), 3 + start)[start:]


def test_what_is_passed_over_is_not_read():
    class Watched(Numbered):
        def __getitem__(self, index):
            read.append(index)
            return super().__getitem__(index)

    read = []
    next(Batches(Watched(), 5).starting_at(7))
    assert len(read) == 5


def test_loaders_keep_their_own_batches():
    loader = paddle.io.DataLoader(Numbered(), batch_size=4)
    batches = Batches(loader, 2)
    assert batches.per_epoch() == 3
    assert rows(batches, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]


def test_fewer_images_than_a_batch():
    assert sorted(rows(Batches(numbered(3), 128), 1)[0]) == [0, 1, 2]


def test_augmentation_is_the_same_for_the_same_step():
    images = np.random.default_rng(0).standard_normal((8, 1, 28, 28), dtype="float32")
    batches = Batches(images, 4, augment=flip_and_shift)
    first = list(islice(batches.starting_at(0), 6))
    again = list(islice(batches.starting_at(4), 2))
    np.testing.assert_array_equal(first[4].images, again[0].images)
    assert not np.array_equal(np.sort(first[0].images, axis=None), np.sort(first[2].images, axis=None))


def test_flip_and_shift_moves_pixels_and_repeats_the_edge():
    image = np.arange(28 * 28, dtype="float32").reshape(1, 1, 28, 28)
    results = flip_and_shift(image.repeat(64, axis=0), np.random.default_rng(0))
    padded = np.pad(image, ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    shifted = [padded[..., t : t + 28, w : w + 28] for t in range(5) for w in range(5)]
    expected = [*shifted, *(view[..., ::-1] for view in shifted)]
    assert all(any(np.array_equal(result[None], e) for e in expected) for result in results)
    assert len({result.tobytes() for result in results}) > 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 1, 4, 4), "float32"), "the training data is empty"),
        ((numbered(), [[1], [2, 3]] * 5), "the training data: parts of it are of several shapes"),
        ([], "the training data gives no batch"),
        ([numbered()[:, 0]], "batch 0 is 10x4x4; it must be"),
        ([numbered(), numbered() * np.nan], "batch 1 holds NaN or infinity"),
        ([["a", "b"]], "batch 0 is a str, not an array"),
        (iter([numbered()]), "can be gone through only once"),
        (7, "is a int, not batches"),
        ((numbered(), np.arange(9)), "10 images and 9 labels; give one for each image"),
        ((numbered(), np.array(3)), "10 images and 1 labels"),
        (numbered().astype("uint8"), "batch 0 is of uint8: pixels, that is"),
        (numbered().astype("int64"), "batch 0 is of int64: pixels, that is"),
        (Ragged(), r"items of several shapes, as \[1, 4, 4\] and \[1, 5, 4\]"),
    ],
)
def test_data_that_cannot_be_used(data, message):
    with pytest.raises(ArgumentError, match=message):
        list(islice(Batches(data, 4).starting_at(0), 3))


def test_epochs_need_a_length():
    class Endless:
        def __iter__(self):
            yield numbered()

    with pytest.raises(ArgumentError, match="give steps, not epochs"):
        Batches(Endless(), 4).per_epoch()


class Stream(paddle.io.IterableDataset):
    """Its length and that of a loader of it raise what they like."""

    def __iter__(self):
        yield from ((image, index % 3) for index, image in enumerate(numbered()))


def test_streams_and_their_loaders_have_no_length():
    loader = paddle.io.DataLoader(Stream(), batch_size=4, num_workers=0)
    batches = Batches(loader, 4)
    sizes = [len(batch.images) for batch in islice(batches.starting_at(0), 5)]
    assert sizes == [4, 4, 2, 4, 4]
    assert len(next(batches.starting_at(2)).labels) == 2
    assert "batches" in batches.describe()
    with pytest.raises(ArgumentError, match="give steps, not epochs"):
        batches.per_epoch()
    with pytest.raises(ArgumentError, match="batch 0 is 1x4x4; it must be"):
        Batches(Stream(), 4).first()
