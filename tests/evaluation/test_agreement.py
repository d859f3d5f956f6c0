"""Agreement of two networks: each kind of output, and what can't be compared."""

from __future__ import annotations

import json
import math

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import convert
from spconvify.errors import AgreementWarning, ArgumentError
from spconvify.evaluation.agreement import agreement

X = np.random.default_rng(0).standard_normal((8, 3, 6, 6)).astype("float32")


class Gives(nn.Layer):
    """A network that returns what a function makes of its input."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv = nn.Conv2D(3, 3, 1)

    def forward(self, x):
        return self.function(x)


def compare(before, after, x=X):
    return agreement(Gives(before), Gives(after), [x[:5], x[5:]], "left out")


def means(x):
    return x.mean(axis=[2, 3])


def test_classes_count_images_with_the_same_top1():
    values = means(paddle.to_tensor(X)).numpy()

    def other(x):  # the first image's largest becomes its smallest
        y = means(x).numpy()
        hit = (y == values[0]).all(1)
        y[hit] = -y[hit]
        return paddle.to_tensor(y)

    found = compare(means, other)
    assert found.outputs[0].kind == "classes"
    assert found.outputs[0].same == pytest.approx(87.5)
    assert found.lines == ["Agreement with the original: 87.50 % same top-1 on 8 images left out"]
    assert not found.poor


def test_maps_count_pixels():
    def classes(x):
        return paddle.concat([x, x[:, :2] * 0 - 9.0], axis=1)

    def shifted(x):
        y = classes(x).clone()
        y[:, 4, :3] = 99.0  # half of the rows get another class
        return y

    found = compare(classes, shifted)
    assert (found.outputs[0].kind, found.outputs[0].same) == ("map", pytest.approx(50.0))
    assert "50.00 % same class of a pixel" in found.lines[0]
    assert found.poor


@pytest.mark.parametrize("channels_last_outside", [True, False])
def test_maps_with_channels_last_count_over_their_classes(channels_last_outside):
    """Of (N, H, W, K) axis 1 are the image's rows; the layout inside the network doesn't matter."""
    x = np.random.default_rng(0).standard_normal((4, 6, 10, 3)).astype("float32")

    class Net(nn.Layer):
        def __init__(self, shift):
            super().__init__()
            self.conv, self.shift = nn.Conv2D(3, 5, 1, data_format="NHWC"), shift

        def forward(self, x):
            if channels_last_outside:
                return self.conv(x) + self.shift
            return (self.conv(x.transpose([0, 2, 3, 1])) + self.shift).transpose([0, 3, 1, 2])

    before, after = Net(0.0), Net(paddle.linspace(0, 1, 5))
    after.set_state_dict(before.state_dict())
    p, q = (net.conv(paddle.to_tensor(x)).numpy() + net.shift for net in (before, after))
    p, q = np.asarray(p), np.asarray(q)
    given = x if channels_last_outside else x.transpose(0, 3, 1, 2)
    found = agreement(before, after, [given]).outputs[0]
    assert found.kind == "map"
    assert found.same == pytest.approx(100 * (p.argmax(-1) == q.argmax(-1)).mean())
    assert found.same < 100


def test_pictures_with_channels_last_are_pictures():
    net = nn.Sequential(nn.Conv2D(3, 3, 1, data_format="NHWC"))
    x = np.random.default_rng(0).standard_normal((4, 6, 10, 3)).astype("float32")
    assert agreement(net, net, [x]).outputs[0].kind == "image"


def test_images_have_a_relative_error_and_psnr():
    found = compare(lambda x: x, lambda x: x * 1.1).outputs[0]
    missed, variance = np.square(0.1 * X).mean(), X.var()
    assert found.kind == "image"
    assert found.error == pytest.approx(missed / variance, rel=1e-4)
    assert found.psnr == pytest.approx(10 * math.log10((X.max() - X.min()) ** 2 / missed), rel=1e-4)
    same = compare(lambda x: x, lambda x: x).outputs[0]
    assert (same.error, same.psnr) == (0.0, None)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_values_are_held_against_their_variance(offset):
    def scores(x):
        return x.mean(axis=[1, 2, 3]) + offset

    found = compare(scores, lambda x: scores(x) * 0 + offset).outputs[0]
    values = X.mean((1, 2, 3))
    assert found.kind == "values"
    assert found.error == pytest.approx(np.square(values).mean() / values.var(), rel=0.05)


def test_constant_outputs_hide_no_difference_and_show_no_rounding():
    ones = lambda x: x.mean(axis=[1, 2, 3]) * 0 + 1.0  # noqa: E731
    assert compare(ones, lambda x: ones(x) + 1e-7).outputs[0].error < 0.1
    assert compare(ones, lambda x: ones(x) + 1.0).outputs[0].error == pytest.approx(1.0)


def test_labels_are_equal_or_not():
    def labels(x):
        return x.argmax(axis=1)

    found = compare(labels, lambda x: labels(x) * 0).outputs[0]
    assert found.kind == "labels"
    assert found.same == pytest.approx(100 * (X.argmax(1) == 0).mean())
    flags = compare(lambda x: x > 0, lambda x: x > 0).outputs[0]
    assert (flags.kind, flags.same) == ("labels", 100.0)


def test_every_output_has_a_line():
    def several(x):
        return {"aux": [means(x)], "main": (means(x), x)}

    found = compare(several, several)
    assert [output.name for output in found.outputs] == ["aux.0", "main.0", "main.1"]
    assert len(found.lines) == 3
    assert "aux.0: 100.00 % same top-1" in found.lines[0]


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (lambda x: {"a": means(x)[:, :2]}, "its shape is (5, 2) instead of (5, 3)"),
        (lambda x: {"b": means(x)}, "the converted network doesn't return it"),
    ],
)
def test_what_can_not_be_compared_is_said(after, text):
    found = compare(lambda x: {"a": means(x)}, after)
    assert text in found.lines[0]
    assert found.poor


def test_one_number_is_held_against_its_size():
    found = agreement(Gives(lambda x: x.max()), Gives(lambda x: x.max() * 1.1), [X])
    assert found.outputs[0].error == pytest.approx(0.01, rel=1e-3)


def test_an_empty_output_is_no_failure():
    found = compare(lambda x: (x, paddle.zeros([0, 4])), lambda x: (x, paddle.zeros([0, 4])))
    assert "it is empty" in found.lines[1]
    assert not found.poor


def test_complex_outputs_have_a_relative_error():
    def spectrum(x):
        return paddle.fft.fft2(x)

    found = compare(spectrum, lambda x: 1.1 * spectrum(x)).outputs[0]
    assert found.kind == "values"
    assert found.error == pytest.approx(0.01, rel=0.1)
    turned = compare(spectrum, lambda x: spectrum(x).conj()).outputs[0]
    assert turned.error > 0.5


def test_a_network_that_is_far_from_itself_is_not_called_badly_converted():
    def noisy(x):
        return paddle.randn([len(x), 7])

    found = compare(noisy, noisy)
    assert found.poor
    assert found.lines[-1].startswith("The original's own outputs differ from run to run")
    assert found.to_dict()["varies"] is True
    other = compare(means, lambda x: -means(x))
    assert other.poor
    assert len(other.lines) == 1


def test_a_fit_of_a_network_that_varies_is_not_blamed():
    class Dropped(nets.PlainNet):
        def forward(self, x):
            return paddle.nn.functional.dropout(nets.PlainNet.forward(self, x), 0.9, training=True)

    images = paddle.randn([24, 3, 8, 8])
    with pytest.warns(AgreementWarning, match=r"differ from run to run.* than of the conversion$"):
        convert(nets.trained(Dropped()), fusion="sum", init="lstsq", calibration=[images])


def test_a_network_without_outputs():
    found = compare(lambda x: None, lambda x: None)
    assert "nothing is known, since it returns no tensor to compare" in found.lines[0]
    assert found.unknown
    assert not found.poor


def test_outputs_that_are_not_finite():
    nan = lambda x: means(x) * float("nan")  # noqa: E731
    assert compare(means, nan).outputs[0].same == 0.0
    assert "the original's own is not a number" in compare(nan, means).lines[0]
    broken = compare(lambda x: x, lambda x: x * float("inf"))
    assert "not finite" in broken.lines[0]
    assert broken.poor
    assert "Infinity" not in json.dumps(broken.to_dict())
    masked = lambda x: paddle.where(x > 0, x, paddle.full_like(x, -np.inf))  # noqa: E731
    assert compare(masked, masked).outputs[0].error == 0.0


def test_networks_of_other_dtypes_come_back_in_their_mode():
    model = nn.Sequential(nn.Conv2D(3, 4, 3), nn.Flatten(), nn.Linear(64, 5)).to(dtype="float64")
    model.train()
    found = agreement(model, model, [X])
    assert found.outputs[0].same == 100.0
    assert model.training


def test_wrong_images():
    with pytest.raises(ArgumentError, match="no images"):
        compare(means, means, X[:0])
    with pytest.raises(
        ArgumentError, match=r"doesn't run on an input of 5x3x6x6.*give images of the size"
    ):
        compare(lambda x: paddle.reshape(x, [7, 7]), means)


def test_where_the_original_is_not_a_number_the_converted_one_is_not_to_blame():
    found = compare(
        lambda x: paddle.concat([x.mean([2, 3]), paddle.sqrt(-x.abs().mean([2, 3]))], axis=1),
        lambda x: paddle.concat([x.mean([2, 3]), x.mean([2, 3])], axis=1),
    )
    assert found.unknown
    assert not found.poor
