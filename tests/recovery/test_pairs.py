"""Which students and teachers belong together."""

import paddle
import pytest
from networks import PlainNet, conv, trained
from recovery_networks import images, pair

from spconvify import ArgumentError, convert
from spconvify.recovery.matching import check_outputs
from spconvify.recovery.pairs import check_pair, replaced_layers


def test_a_converted_network_and_its_original():
    student, teacher = pair()
    check_pair(student, teacher)
    check_outputs(student, teacher, images())
    assert replaced_layers(student, teacher) == ["conv1", "conv2"]


def changed(change):
    teacher = trained(PlainNet())
    change(teacher)
    return teacher


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda t: setattr(t, "head", paddle.nn.Linear(8, 7)), "'head.weight' is 8x5 in the student"),
        (lambda t: setattr(t, "conv1", conv(8, 12)), "'conv1' takes 8 channels to 12 at stride 2"),
        (lambda t: setattr(t, "more", conv()), "only the teacher has 'more.weight'"),
        (lambda t: delattr(t, "conv2"), "the teacher has no convolution 'conv2'"),
        (lambda t: convert(t, include="conv2", inplace=True), "'conv2' is an SPConv2D already"),
    ],
)
def test_the_first_difference_is_named(change, difference):
    student, _ = pair()
    with pytest.raises(ArgumentError, match="don't belong together") as caught:
        check_pair(student, changed(change))
    assert difference in str(caught.value)


def test_a_network_is_not_its_own_teacher():
    student, _ = pair()
    with pytest.raises(ArgumentError, match="are the same network"):
        check_pair(student, student)


def test_outputs_that_cannot_be_compared():
    student, _ = pair()
    other = changed(lambda t: setattr(t, "head", paddle.nn.Linear(8, 7)))
    with pytest.raises(ArgumentError, match=r"output is \[1, 7\] for one image, the student's \[1, 5\]"):
        check_outputs(student, other, images())


def test_images_that_do_not_fit():
    student, teacher = pair()
    with pytest.raises(ArgumentError, match="doesn't run on an input of 1x2x10x10"):
        check_outputs(student, teacher, images()[:, :2])
