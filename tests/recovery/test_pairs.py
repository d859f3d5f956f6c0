"""Which students and teachers belong together."""

import paddle
import pytest
from networks import PlainNet, conv, trained
from recovery_networks import images, pair

import spconvify
from spconvify import ArgumentError, convert
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.recovery.matching import check_outputs
from spconvify.recovery.pairs import check_pair, replaced_layers
from spconvify.surgery.changes import Narrow, Replace
from spconvify.surgery.planning import Plan
from spconvify.zoo.cifar import CifarResNet


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


def narrowed(*more):
    """A residual network, and one that was made of it with fewer channels between two convolutions."""
    teacher = CifarResNet(8)
    narrow = Narrow("layer1.0.conv1", "layer1.0.conv2", tuple(range(10)), ("layer1.0.bn1",))
    plan = Plan([narrow, *more])
    return teacher, spconvify.convert(teacher, plan=plan, input_shape=(1, 3, 16, 16))


@pytest.mark.parametrize("site", ["", "layer1.0.conv1", "layer1.0.conv2", "layer2.0.conv1"])
def test_a_narrowed_student_belongs_to_its_original(site):
    more = [Replace(site, SPConvSettings(0.5, 1))] if site else []
    teacher, student = narrowed(*more)
    check_pair(student, teacher)
    # A layer that gives fewer channels has nothing to be compared with.
    assert replaced_layers(student, teacher) == ([site] if site not in ("", "layer1.0.conv1") else [])
    x = paddle.rand([4, 3, 16, 16])
    spconvify.recover(student, teacher, [x], steps=2, feature_weight=1.0 if site else 0.0, progress=None)


def test_channels_that_are_gone_on_one_side_only_do_not_belong():
    teacher, student = narrowed()
    student.layer1[0].conv2 = paddle.nn.Conv2D(12, 16, 3, padding=1, bias_attr=False)
    with pytest.raises(
        ArgumentError, match=r"don't belong together: 'layer1\.0\.conv1\.weight' is 10x16"
    ):
        check_pair(student, teacher)
