"""Networks with several inputs, a dictionary, a list or keywords are counted, converted and fused."""

import numpy as np
import paddle
import pytest
from input_networks import CASES, IMAGE, LABELS, SCALE, ByKeyword, OfDictionary, Scaled, made
from paddle import nn

from spconvify import ArgumentError, ConversionError, NotCheckedWarning, SPConv2D, convert, cost, fuse
from spconvify.deploy.equality import TOLERANCE, largest_error
from spconvify.network.inputs import Inputs, forward
from spconvify.network.outputs import flatten

EACH = pytest.mark.parametrize(("network", "shapes"), CASES)


@EACH
def test_cost(network, shapes):
    pictures = 1 if network in (Scaled, OfDictionary, ByKeyword) else len(shapes)
    model = made(network)
    convolutions = sum(layer.macs for layer in cost(model, shapes).layers if layer.kind == "Conv2D")
    assert convolutions == pictures * 2 * 12 * 12 * 9 * (3 * 8 + 8 * 8)


@EACH
@pytest.mark.filterwarnings("error::spconvify.NotCheckedWarning")
def test_convert_checks_the_network_on_it(network, shapes):
    model = made(network)
    slim = convert(model, include=["conv"], input_shape=shapes)
    assert isinstance(slim.conv, SPConv2D)
    inputs = Inputs.of(shapes, slim)
    sample = inputs.sample(slim)
    before, after = (flatten(forward(m, sample)) for m in (model, slim))
    assert {k: v.shape for k, v in before.items()} == {k: v.shape for k, v in after.items()}


def test_without_its_shapes_it_is_not_checked():
    with pytest.warns(NotCheckedWarning):
        convert(made(Scaled))


def test_convert_finds_what_an_input_does_not_reach():
    class Held(Scaled):
        def __init__(self):
            super().__init__()
            conv = self.conv
            self.held = lambda image: conv(image)

        def body(self, image):
            return self.norm(self.held(self.stem(image)))

    with pytest.raises(ConversionError, match="still runs the old convolution"):
        convert(made(Held), include=["conv"], input_shape=[IMAGE, SCALE])


@EACH
def test_fuse(network, shapes):
    slim = convert(made(network), include=["conv"], input_shape=shapes)
    sample = Inputs.of(shapes, slim).sample(slim)
    with paddle.no_grad():
        fused = fuse(slim, input_shape=shapes)
        assert largest_error(forward(slim, sample), forward(fused, sample)) <= TOLERANCE
    assert type(fused.norm) is not nn.BatchNorm2D
    assert not isinstance(fused.conv, SPConv2D)


def test_fuse_on_an_example():
    model = made(OfDictionary)
    example = {"image": np.ones(IMAGE, np.float64), "label": LABELS}
    assert type(fuse(model, example=example).norm) is not nn.BatchNorm2D
    with pytest.raises(ArgumentError, match="on inputs of image 2x4x12x12, label 2: "):
        fuse(model, example={"image": np.ones((2, 4, 12, 12)), "label": LABELS})


def test_why_a_network_of_several_inputs_does_not_run():
    with pytest.raises(ArgumentError) as error:
        cost(made(Scaled), [IMAGE, (2, 9)])
    assert "doesn't run on inputs of image 2x3x12x12, scale 2x9: " in str(error.value)
    assert str(error.value).endswith("; give another input_shape=")
    with pytest.raises(ArgumentError, match="its forward takes its inputs in another way"):
        cost(made(OfDictionary), Inputs(IMAGE, LABELS))
    with pytest.raises(ArgumentError, match=r"on an input of 2x3x12x12.*wrap it in a layer"):
        cost(made(Scaled), IMAGE)


def test_an_empty_example_is_none():
    """It would cost nothing."""
    with pytest.raises(
        ArgumentError, match=r"the example is empty: 'image' has the shape \[0, 3, 8, 8\]"
    ):
        cost(Scaled(), example={"image": np.zeros((0, 3, 8, 8), "float32"), "scale": np.ones((1, 8))})
