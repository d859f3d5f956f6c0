"""Inputs by name: put together as forward takes them, or refused with the names that there are."""

import numpy as np
import pytest
from network_inputs import (
    Classes,
    Clip,
    Detector,
    Nested,
    OnlyKeywords,
    WithWords,
    detector_with_example,
)
from paddle import nn

from spconvify import ArgumentError, cost
from spconvify.network.batches import pictures_of, taken, with_picture_shape, with_pictures
from spconvify.network.input_names import named_inputs
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs


def given(**shapes):
    tensors = {}
    for name, shape in shapes.items():
        tensors[name.replace("__", ".")] = InputTensor(shape, "int64" if name == "ids" else None)
    return tensors


IMAGE = (2, 3, 16, 16)


@pytest.mark.parametrize(
    ("network", "shapes"),
    [
        (Classes, {"image": IMAGE, "scale": (2, 8)}),
        (WithWords, {"image": IMAGE, "ids": (2, 5)}),
        (Detector, {"image": IMAGE, "im_shape": (2, 2), "scale_factor": (2, 2)}),
        (Nested, {"image": IMAGE, "meta__scale": (2, 8)}),
        (OnlyKeywords, {"image": IMAGE, "scale": (2, 8)}),
        (Clip, {"clip": (2, 3, 3, 8, 8)}),
    ],
)
def test_it_runs_on_them(network, shapes):
    model = network()
    inputs = named_inputs(given(**shapes), model, None)
    assert cost(model, inputs).macs > 0
    if network is Detector:
        feeds = inputs.feeds()
        assert feeds["im_shape"].tolist() == [[16, 16]] * 2
        assert feeds["scale_factor"].tolist() == [[1, 1]] * 2
    if network is Clip:
        assert inputs.is_plain


@pytest.mark.parametrize(
    ("network", "shapes", "message"),
    [
        (Classes, {"image": IMAGE, "scales": (2, 8)}, "no input 'scales'; it takes 'image', 'scale'"),
        (Classes, {"image": IMAGE}, "takes 'scale' too; give input_shape= scale=… as well"),
        (Detector, {"image": IMAGE, "im_shape": (2, 2)}, "asks for the input 'scale_factor' too"),
        (
            Detector,
            {"image": IMAGE, "im_shape": (2, 2), "scale_factor": (2, 2), "im_id": (2, 1)},
            "no input 'im_id'; it takes 'image', 'im_shape', 'scale_factor'",
        ),
        (Clip, {"frames": (2, 3, 3, 8, 8)}, "no input 'frames'; it takes 'clip'"),
        (nn.Linear, {"picture": (1, 4)}, "no input 'picture'; it takes 'input'"),
        (OnlyKeywords, {"image": IMAGE, "size": (2, 8)}, "'image', 'scale', 'bias'"),
        (Nested, {"image": IMAGE, "meta": (2, 8), "meta__scale": (2, 8)}, "as a dictionary"),
    ],
)
def test_other_names_are_refused_with_those_that_there_are(network, shapes, message):
    model = network(4, 4) if network is nn.Linear else network()
    with pytest.raises(ArgumentError, match=message):
        named_inputs(given(**shapes), model, None)


def test_an_example_keeps_what_is_not_named():
    model, example = detector_with_example()
    base = Inputs.of(example, model)
    inputs = named_inputs(given(image=(1, 3, 24, 20)), model, base)
    assert inputs.said["image"] == (1, 3, 24, 20)
    assert inputs.feeds()["scale_factor"].tolist() == [[2, 2]]
    with pytest.raises(ArgumentError, match="'img'; it takes 'im_shape', 'image', 'scale_factor'"):
        named_inputs(given(img=(1, 3, 24, 20)), model, base)


def test_pictures_take_the_rest_of_the_example_along():
    model, example = detector_with_example()
    inputs = with_pictures(Inputs.of(example, model), np.ones((5, 3, 8, 12), "float32"))
    feeds = inputs.feeds()
    assert feeds["image"].shape == (5, 3, 8, 12)
    assert feeds["scale_factor"].tolist() == [[2, 2]] * 5
    assert feeds["im_shape"].tolist() == [[8, 12]] * 5  # it was the picture's size, and is it again
    some = taken(inputs, np.array([True, False, True, False, False]))
    assert {k: len(v) for k, v in some.feeds().items()} == dict.fromkeys(feeds, 2)


def test_another_size_of_an_example_that_says_something_else():
    example = {"image": np.ones((1, 3, 8, 8), "float32"), "im_shape": np.float32([[80, 90]])}
    inputs = with_picture_shape(Inputs.of(example), (2, 3, 16, 16))
    assert inputs.feeds()["im_shape"].tolist() == [[80, 90]] * 2


def test_which_input_pictures_go_to():
    def named(**shapes):
        return Inputs.of({name: InputTensor(shape) for name, shape in shapes.items()})

    assert pictures_of(named(a=(1, 5, 8, 8), b=(1, 1, 8, 8))).name == "b"
    assert pictures_of(named(a=(1, 5, 8, 8), b=(1, 8))).name == "a"
    with pytest.raises(ArgumentError, match="pictures could go to 'left' and 'right' alike"):
        pictures_of(named(left=IMAGE, right=IMAGE))
    with pytest.raises(ArgumentError, match=r"no input of the network takes pictures.*'a' 2x3, 'b' 2x4"):
        pictures_of(named(a=(2, 3), b=(2, 4)))
    integers = Inputs.of({"mask": InputTensor(IMAGE, "int64"), "image": InputTensor(IMAGE)})
    assert pictures_of(integers).name == "image"
