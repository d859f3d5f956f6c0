"""What tells one run's data from another's: all of it, and nothing that changes by itself."""

import numpy as np
import paddle
import pytest
from recovery_networks import images, pair

from spconvify.recovery.batches import Batches
from spconvify.recovery.evaluation import Evaluation
from spconvify.recovery.fingerprint import checksum, of_augment, of_files, of_network, of_training
from spconvify.recovery.processes import Processes


class Items(paddle.io.Dataset):
    def __init__(self, arrays, labels=None, chance=False):
        self._arrays, self._labels, self._chance = arrays, labels, chance

    def __len__(self):
        return len(self._arrays)

    def __getitem__(self, index):
        item = self._arrays[index] + (np.random.random() if self._chance else 0)
        return item if self._labels is None else (item, self._labels[index])


class Again:
    """Batches without a length, and with nothing but their order."""

    def __init__(self, *arrays):
        self._arrays = arrays

    def __iter__(self):
        return iter(self._arrays)


def changed(array, place):
    other = array.copy()
    other[place] += 1
    return other


LABELS = np.arange(32) % 5
FORMS = {
    "array": lambda x, y: x,
    "tensor": lambda x, y: paddle.to_tensor(x),
    "pair": lambda x, y: (x, y),
    "dataset": Items,
    "list": lambda x, y: [x[:16], x[16:]],
    "list of pairs": lambda x, y: [(x[:16], y[:16]), [paddle.to_tensor(x[16:]), y[16:]]],
    "loader": lambda x, y: paddle.io.DataLoader(Items(x, y), batch_size=8),
    "iterable": lambda x, y: Again(x),
    "tensors": lambda x, y: paddle.io.TensorDataset([paddle.to_tensor(x), paddle.to_tensor(y)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_image_counts(form):
    x, make = images(), FORMS[form]
    described = Batches(make(x, LABELS), 8).describe()
    assert Batches(make(x.copy(), LABELS.copy()), 8).describe() == described
    for place in (0, 7, 16, 31):
        assert Batches(make(changed(x, (place, 2, 5, 5)), LABELS), 8).describe() != described
    assert Batches(make(x[::-1].copy(), LABELS), 8).describe() != described


@pytest.mark.parametrize("form", ["pair", "dataset", "list of pairs", "loader", "tensors"])
def test_every_label_counts(form):
    x, make = images(), FORMS[form]
    described = Batches(make(x, LABELS), 8).describe()
    for place in (0, 20, 31):
        assert Batches(make(x, changed(LABELS, place)), 8).describe() != described


def test_data_that_chance_changes_is_told_by_its_kind_and_number():
    described = Batches(Items(images(), chance=True), 8).describe()
    assert Batches(Items(images(), chance=True), 8).describe() == described == "a Items of 32 images"
    assert Batches(Items(images(31), chance=True), 8).describe() != described


def test_a_dataset_may_tell_itself():
    class Telling(Items):
        def fingerprint(self):
            return "version 3"

    assert Batches(Telling(images()), 8).describe() == "a Telling of 32 images (version 3)"


def test_images_and_labels_of_an_evaluation_count():
    def described(x, y):
        return Evaluation((x, y), Processes()).describe()

    x = images()
    assert described(x, LABELS) == described(x.copy(), LABELS.copy())
    assert described(x, LABELS) != described(changed(x, 20), LABELS)
    assert described(x, LABELS) != described(x, changed(LABELS, 20))


def test_an_augmentation_is_told_by_what_it_does():
    def add(value):
        return lambda images, random: images + value

    def shape(augment):
        return of_augment(augment, (8, 3, 4, 4), 0)

    assert shape(None) == "none"
    assert shape(add(1)) == shape(add(1)) != shape(add(2))
    unruly = shape(lambda images, random: images + np.random.random())
    assert unruly == shape(lambda images, random: images + np.random.random())


def test_values_of_all_kinds_have_a_checksum():
    values = [None, True, 1, 1.5, "a", b"a", np.int64(3), {"a": 1}, [], object, np.zeros(()), [[1]]]
    found = [checksum(value) for value in values]
    assert found == [checksum(value) for value in values]
    assert len(set(found)) == len(found)
    assert (
        checksum(np.zeros((2, 3))) != checksum(np.zeros((3, 2))) != checksum(np.zeros((3, 2), "int64"))
    )


@pytest.mark.parametrize("whole", [True, False])
def test_the_contents_of_files_count(tmp_path, monkeypatch, whole):
    from spconvify.recovery import fingerprint

    if not whole:
        monkeypatch.setattr(fingerprint, "_WHOLE", 0)
    files = [tmp_path / name for name in ("a.bmp", "b.bmp")]
    for file in files:
        file.write_bytes(bytes(100_000))
    described = of_files(files, tmp_path)
    files[1].write_bytes(bytes(100_000))  # at another time
    assert of_files(files, tmp_path) == described
    files[1].write_bytes(b"1" * 100_000)
    assert of_files(files, tmp_path) != described
    assert of_files(files[::-1], tmp_path) != described


def test_weights_frozen_parameters_and_modes_count():
    student = pair()[0]
    weights, training = of_network(student), of_training(student)
    student.stem.weight.stop_gradient = True
    assert of_network(student) == weights
    frozen = of_training(student)
    student.bn.training = not student.bn.training
    assert len({training, frozen, of_training(student)}) == 3
    with paddle.no_grad():
        student.bn._mean[0] += 1
    assert of_network(student) != weights
