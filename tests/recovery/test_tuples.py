"""Tuples of all that a network takes, with labels behind it: nothing of them is passed over."""

import numpy as np
import paddle
import pytest
from input_networks import ByKeyword, Scaled, made
from recovery_networks import images, pair

from spconvify import ArgumentError, convert, recover, slim
from spconvify.network.examples import form_of, given_inputs
from spconvify.recovery.batches import Batches, Form
from spconvify.recovery.fingerprint import checksum

LABELS = np.arange(32) % 8


class Classes(Scaled):
    """A score for each of eight classes."""

    def forward(self, image, scale):
        return super().forward(image, scale).mean([2, 3])


def scales():
    return np.random.default_rng(1).uniform(0.5, 2.0, (32, 8)).astype("float32")


def example():
    return images(1), np.ones((1, 8), "float32")


class Items(paddle.io.Dataset):
    """One image at a time, and what goes with it."""

    def __len__(self):
        return 32

    def __getitem__(self, index):
        return images()[index], scales()[index], LABELS[index], f"picture {index}"


WHOLE = {
    "arrays": lambda: (images(), scales(), LABELS),
    "tensors": lambda: tuple(map(paddle.to_tensor, (images(), scales(), LABELS))),
    "batches": lambda: [(images()[i : i + 8], scales()[i : i + 8], LABELS[i : i + 8]) for i in (0, 8)],
    "dataset": Items,
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
def test_labels_stand_behind_what_the_network_takes(data):
    model = made(Classes)
    form = Form(model, form_of(given_inputs(None, example(), model), model))
    batch = Batches(data(), 8, form=form).first()
    pictures, found = (batch.images.tensors[name].array() for name in ("image", "scale"))
    rows = [int(np.abs(images() - one).sum((1, 2, 3)).argmin()) for one in pictures]
    np.testing.assert_array_equal(found, scales()[rows])
    np.testing.assert_array_equal(batch.labels, LABELS[rows])


@pytest.mark.parametrize("data", [WHOLE["arrays"], WHOLE["batches"]])
def test_they_are_trained_on(data):
    teacher = made(Classes)
    student = convert(teacher, include=["conv"], input_shape=[(1, 3, 10, 10), (1, 8)])
    seen = []
    options = {"label_weight": 1.0, "example": example(), "batch_size": 8, "progress": seen.append}
    recover(student, teacher, data(), steps=2, **options)
    assert len(seen) == 2


def test_arrays_that_have_no_row_for_each_image():
    with pytest.raises(ArgumentError, match="arrays of 32x3x10x10 and 31x8 and 32 don't have a row"):
        Batches((images(), scales()[1:], LABELS), 8)


OTHER = {
    "an axis less": lambda: (Scaled, scales()[:8, 0]),
    "an axis more": lambda: (Scaled, scales()[:8, :, None]),
    "lists": lambda: (Scaled, scales()[:8].tolist()),
    "keywords alone": lambda: (ByKeyword, scales()[:8]),
    "whole numbers, by keyword": lambda: (ByKeyword, np.round(scales()[:8])),
}


@pytest.mark.parametrize("given", OTHER.values(), ids=OTHER)
def test_what_seems_to_be_an_input_is_not_passed_over(given):
    """The example's own numbers would take its place."""
    kind, behind = given()
    values = example() if kind is Scaled else dict(zip(("image", "scale"), example()))
    with pytest.raises(ArgumentError, match=r"batch 0 is a tuple.*give a dictionary of the inputs by n"):
        slim(made(kind), calibration=[(images(8), behind)], example=values, progress=False)


def test_labels_alone_go_with_the_example():
    batches = [(images(8), LABELS[:8]), (images(8), LABELS[:8, None])]
    slim(made(Scaled), calibration=batches, example=example(), progress=False)


def test_a_checksum_is_of_all_inputs():
    model = made(Scaled)
    first, second = (given_inputs(None, (images(2), scales()[:2] * by), model) for by in (1, 2))
    assert checksum(first) != checksum(second)


JUDGED = {
    "dictionaries": lambda: [
        {"image": images()[:9], "scale": scales()[:9]},
        {"image": images()[9:], "scale": scales()[9:]},
    ],
    "a dictionary": lambda: {"image": images(), "scale": scales()},
    "a tuple": lambda: (images(), scales()),
    "tuples": lambda: [(images()[:9], scales()[:9]), (images()[9:], scales()[9:])],
}


@pytest.mark.parametrize("given", JUDGED.values(), ids=JUDGED)
def test_labelled_images_in_batches(given):
    teacher = made(Classes)
    student = convert(teacher, include=["conv"], input_shape=[(1, 3, 10, 10), (1, 8)])
    with paddle.no_grad():
        right = teacher(paddle.to_tensor(images()), paddle.to_tensor(scales())).numpy().argmax(1)
    seen, options = [], {"steps": 1, "example": example(), "batch_size": 8}
    recover(student, teacher, images(), eval_data=(given(), right), progress=seen.append, **options)
    whole = []
    paired = [({"image": images(), "scale": scales()}, right)]
    student = convert(teacher, include=["conv"], input_shape=[(1, 3, 10, 10), (1, 8)])
    recover(student, teacher, images(), eval_data=paired, progress=whole.append, **options)
    assert seen[-1].top1 == whole[-1].top1


def test_pictures_in_batches_with_all_labels():
    student, teacher = pair()
    halves, labels = [images()[:20], images()[20:]], LABELS % 5
    with pytest.raises(ArgumentError, match="the labels are 32 for 20 images"):
        recover(student, teacher, images(), steps=1, eval_data=(halves[:1], labels), progress=False)
    recover(student, teacher, images(), steps=1, eval_data=(halves, labels), progress=False)
