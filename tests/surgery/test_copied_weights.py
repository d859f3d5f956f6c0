"""Weights that are only copied: what the outputs are worth is said aloud, without images too."""

import threading
import warnings
from pathlib import Path

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

import spconvify
from spconvify import AgreementWarning, ArgumentError, convert, load

SHIPPED = Path(__file__).parents[2] / "examples" / "resnet20_fashion_mnist.pdparams"
SHAPE = (1, 1, 28, 28)
SAID = (
    r"no longer the original's: relative error [\d.]+ of the variance, .* on 4 images of random "
    r"numbers \(that of a constant is 1\); calibrate it with a few hundred images, or train it"
)


@pytest.fixture
def shipped():
    network = load(SHIPPED)
    network.eval()
    return network


@pytest.fixture
def silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("shape", [None, SHAPE])
def test_it_is_said_how_far_the_outputs_are(shipped, inplace, shape):
    x = paddle.randn(SHAPE)
    before = shipped(x).numpy()
    with pytest.warns(AgreementWarning, match=SAID) as found:
        convert(shipped, inplace=inplace, input_shape=shape)
    assert np.allclose(shipped(x).numpy(), before) != inplace
    (warning,) = [one for one in found if one.category is AgreementWarning]
    assert Path(warning.filename) == Path(__file__)
    error = float(str(warning.message).split("relative error ")[1].split()[0])
    assert error > 1


def test_of_the_network_with_one_layer_less_there_is_nothing_to_say(shipped, silent):
    convert(shipped, include="layer3.2.conv2", input_shape=SHAPE)


def test_who_wants_random_weights_has_them(shipped, silent):
    convert(shipped, init="none", input_shape=SHAPE)


def test_an_example_tells_it_better(shipped):
    image = paddle.rand([2, 1, 28, 28])
    with pytest.warns(AgreementWarning, match=r"on 2 images of the example \(that of a constant is 1\)"):
        convert(shipped, example=image)


def test_slim_has_the_figure_in_its_table(shipped):
    with pytest.warns(AgreementWarning, match=SAID):
        found = spconvify.slim(shipped, input_shape=SHAPE, progress=False).comparison
    assert found.agreement.poor
    assert found.agreement.where == "of random numbers"
    assert "of the variance" in found.agreement.lines[0]
    assert "random numbers" in str(found)


def test_labelled_images_are_better_than_random_numbers(shipped):
    images, labels = np.random.default_rng(0).random((8, *SHAPE[1:]), "float32"), np.arange(8)
    with pytest.warns(AgreementWarning, match=r"[\d.]+ % same top-1 on 8 images with labels;"):
        found = spconvify.slim(shipped, eval_data=(images, labels), progress=False).comparison
    assert found.agreement.where == "with labels"


class Locked(nets.PlainNet):
    """Can't be copied, so that nothing of it is left to compare with."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_what_cannot_be_copied_is_converted_all_the_same(silent):
    with pytest.raises(ArgumentError, match="can't be copied"):
        convert(Locked())
    assert isinstance(convert(Locked(), inplace=True).conv1, spconvify.SPConv2D)


class RaisesLater(nn.Layer):
    """Runs on the random inputs of the check of the conversion, and not on the fourth."""

    def __init__(self):
        super().__init__()
        self.conv = nets.conv(8)

    def forward(self, x):
        if float(x.mean()) > 0.05:
            raise ValueError("too bright")
        return self.conv(x)


def test_random_numbers_that_it_does_not_take_are_no_reason_to_fail():
    assert isinstance(convert(RaisesLater(), input_shape=(1, 8, 4, 4)).conv, spconvify.SPConv2D)
