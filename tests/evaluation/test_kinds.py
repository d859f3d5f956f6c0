"""What an output is taken for, and the figures of each kind, by hand."""

from __future__ import annotations

import math

import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.evaluation.agreement import agreement

X = np.random.default_rng(0).random((2, 3, 16, 16)).astype("float32")


class Gives(nn.Layer):
    """A network that returns fixed values, whatever the image is."""

    def __init__(self, value):
        super().__init__()
        self.conv, self._value = nn.Conv2D(3, 3, 1), value

    def forward(self, x):
        if isinstance(self._value, dict):
            return {name: paddle.to_tensor(value) for name, value in self._value.items()}
        return paddle.to_tensor(self._value)


def compare(before, after, x=X, **options):
    return agreement(Gives(before), Gives(after), [x], **options)


def judged(value, x=X):
    return compare(value, value, x).outputs[0].kind


def scores(classes, count):
    """Logits (N, K, H, W) whose largest is the class of a map (N, H, W)."""
    return np.eye(count, dtype="float32")[classes].transpose(0, 3, 1, 2) * 5 - 2


def softmax(logits, axis=1):
    powers = np.exp(logits)
    return powers / powers.sum(axis, keepdims=True)


def halves(shape=(2, 1, 16, 16)):
    """A mask of probabilities: the left half is there."""
    mask = np.full(shape, 0.02, "float32")
    mask[..., :8] = 0.97
    return mask


def test_class_maps_have_a_mean_iou():
    before = np.zeros((2, 16, 16), int)
    before[:, 8:] = 2  # half is class 0, half class 2, none class 1 or 3
    after = before.copy()
    after[:, 8:12] = 1  # a quarter of all pixels is another class
    found = compare(scores(before, 4), scores(after, 4)).outputs[0]
    # IoU of class 0 is 1, of class 1 (in the converted network alone) 0, of class 2 1/2.
    assert (found.kind, found.same) == ("map", 75.0)
    assert found.iou == pytest.approx(100 * 1.5 / 3)
    assert found.text == "75.00 % same class of a pixel, mean IoU 50.00 % (class map)"


def test_a_class_map_that_is_not_a_number_is_in_no_class():
    before = np.zeros((2, 16, 16), int)
    after = scores(before, 4)
    after[:, :, :4] = np.nan
    found = compare(scores(before, 4), after).outputs[0]
    assert (found.same, found.iou) == (75.0, pytest.approx(75.0))


def test_masks_have_the_iou_of_where_they_are_above_a_half():
    after = halves()
    after[..., 4:8] = 0.4  # half of the mask is gone,
    after[..., 12:] = 0.5  # and as much came to it
    found = compare(halves(), after).outputs[0]
    assert (found.kind, found.iou) == ("mask", pytest.approx(100 * 4 / 12))
    assert found.text == "mask IoU 33.33 % (mask)"
    assert found.poor
    assert not compare(halves(), halves()).poor


def test_values_of_a_mask_that_are_not_numbers_are_wrong():
    after = halves()
    after[..., 12:] = np.nan
    assert compare(halves(), after).outputs[0].iou == pytest.approx(100 * 8 / 12)


def test_several_channels_of_probabilities_are_masks_and_shares_of_one_are_classes():
    """The mean is over the channels that have a mask at all."""
    maps = np.concatenate([halves(), halves() * 0 + 0.01, 0.99 - halves()], 1)
    maps = np.concatenate([maps, halves()], 1)  # four channels, so no picture's
    after = maps.copy()
    after[:, 0, :8] = 0.0
    found = compare(maps, after).outputs[0]
    assert (found.kind, found.iou) == ("mask", pytest.approx(100 * (0.5 + 1 + 1) / 3))
    classes = softmax(scores(np.arange(512).reshape(2, 16, 16) % 4, 4) * 3)
    assert judged(classes) == "map"


def test_images_have_three_figures():
    before = np.zeros((2, 3, 16, 16), "float32")
    before[..., ::2] = 2.0  # from 0 to 2, mean 1, variance 1, mean square 2
    found = compare(before, before + 0.1).outputs[0]
    assert found.kind == "image"
    assert found.error == pytest.approx(0.01, rel=1e-4)
    assert found.l2 == pytest.approx(0.1 / math.sqrt(2), rel=1e-4)
    assert found.psnr == pytest.approx(20 * math.log10(2 / 0.1), rel=1e-4)
    assert found.text == "relative error 0.01 of the variance, 0.0707 in L2, PSNR 26.0 dB (image)"


def test_steps_are_told_by_shares_of_one():
    logits = np.random.default_rng(1).standard_normal((2, 10, 7)).astype("float32")
    before, after = softmax(logits, 2), softmax(logits, 2)
    after[0, 0], after[1, 3] = np.roll(before[0, 0], 1), np.roll(before[1, 3], 1)
    found = compare(before, after).outputs[0]
    assert (found.kind, found.same) == ("steps", pytest.approx(90.0))
    assert "90.00 % same class of a step (classes of steps)" in found.text
    turned = compare(before.transpose(0, 2, 1), after.transpose(0, 2, 1)).outputs[0]
    assert turned.same == pytest.approx(90.0)
    assert judged(logits) == "values"


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((2, 5), "classes"),
        ((2, 1), "values"),
        ((2, 3, 16, 16), "image"),
        ((2, 3, 32, 32), "image"),  # super-resolution
        ((2, 3, 8, 8), "map"),  # less than the input: three classes
        ((2, 5, 16, 16), "map"),
        ((2, 5, 2, 2), "map"),
        ((2, 5, 1, 1), "map"),  # a classifier without its last step
        ((2, 1, 16, 16), "image"),  # depth
        ((2, 16, 16), "values"),
    ],
)
def test_shapes_tell_kinds(shape, kind):
    assert judged(np.random.default_rng(0).standard_normal(shape).astype("float32")) == kind


def test_small_maps_are_of_features():
    x = np.zeros((2, 3, 64, 64), "float32")
    maps = np.random.default_rng(0).standard_normal((2, 5, 4, 4)).astype("float32")
    assert judged(maps, x) == "values"
    assert judged(maps.repeat(2, 2).repeat(2, 3), x) == "map"


def test_maps_of_several_sizes_are_of_a_detector():
    maps = np.random.default_rng(0).standard_normal((2, 5, 8, 8)).astype("float32")
    several = {"large": maps, "small": maps[:, :, ::2, ::2]}
    assert [output.kind for output in compare(several, several).outputs] == ["values", "values"]


def test_probabilities_between_are_no_mask():
    """As a depth in 0..1, whose half says nothing; and where nothing is there, there is no mask."""
    assert judged(X[:, :1]) == "image"
    assert judged(halves() * 0) == "image"
    assert judged(halves()[:, 0]) == "mask"
    assert judged(halves().transpose(0, 2, 3, 1)) == "mask"


def test_whole_numbers_are_equal_or_not():
    classes = np.arange(512).reshape(2, 16, 16) % 4
    after = classes.copy()
    after[0] = 7
    found = compare(classes, after).outputs[0]
    assert (found.kind, found.text) == ("labels", "50.00 % equal values (whole numbers)")


def test_the_user_knows_better():
    logits = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype("float32")
    found = compare(logits, logits + 0.1, kinds="map").outputs[0]
    assert (found.kind, found.same, found.iou) == ("map", 100.0, 100.0)
    both = {"a": logits, "b": logits}
    found = compare(both, both, kinds={"b": "map"})
    assert [output.kind for output in found.outputs] == ["image", "map"]
    assert compare(X[:, :1], X[:, :1], kinds="mask").outputs[0].kind == "mask"
    embedding = logits[:, :, 0, 0]
    assert compare(embedding, embedding, kinds="values").outputs[0].kind == "values"
    steps = logits.reshape(2, 48, 16)
    assert compare(steps, steps, kinds="steps").outputs[0].same == 100.0
    empty = compare(halves() * 0, halves() * 0, kinds="mask")
    assert "no value of the original's mask is above a half" in empty.lines[0]
    assert empty.unknown


@pytest.mark.parametrize(
    ("value", "kinds", "message"),
    [
        (X, "pixels", "kind 'pixels' is unknown; use classes, steps, map"),
        (X, {"main": "map"}, "the network has no output 'main'; its only one has no name"),
        ({"a": X, "b": X}, {"main": "map"}, "the network has no output 'main'; it gives 'a', 'b'"),
        (X, "classes", r"the output can't be 'classes': its shape is \(2, 3, 16, 16\)"),
        ({"a": X.astype(int)}, {"a": "map"}, "output 'a' can't be 'map': its numbers are int64"),
        (X * 9, "mask", "aren't all between 0 and 1"),
        (X, ["map"], "kinds is a list"),
    ],
)
def test_kinds_that_can_not_be(value, kinds, message):
    with pytest.raises(ArgumentError, match=message):
        compare(value, value, kinds=kinds)


@pytest.mark.parametrize("shape", [(1, 12), (6, 2), (1, 6, 32, 16), (12,)])
def test_what_has_no_row_for_each_image_is_no_class(shape):
    """As that of a network for one picture, which takes two for one of twice the numbers."""
    value = np.random.default_rng(0).random(shape).astype("float32")
    assert judged(value, X[:2]) == "values"
    if len(shape) > 1:
        with pytest.raises(ArgumentError, match=r"for 2 images"):
            compare(value, value, kinds="map" if len(shape) > 2 else "classes")


def test_steps_may_come_before_the_images():
    assert judged(softmax(np.random.default_rng(0).random((7, 2, 5)), -1)) == "steps"
