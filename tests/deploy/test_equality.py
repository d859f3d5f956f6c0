"""Equality of outputs: by channel, by name, infinities by place; and what rounding may do."""

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, ConversionError, EngineError, convert, export, fuse
from spconvify.deploy.equality import TOLERANCE, are_equal, differences, largest_error, what_differs

SHAPE = (2, 3, 16, 16)
BIG, INF = 2000.0, float("inf")


def error(old, new):
    return differences({"": np.asarray(old)}, {"": np.asarray(new)})[""]


@pytest.mark.parametrize(
    ("shape", "axis"),
    [((4, 6), 1), ((4, 6, 5, 5), 1), ((2, 30, 6), 2), ((2, 5, 5, 6), 3), ((2, 6, 30), 1)],
)
def test_small_channels_are_not_lost_beside_large_ones(shape, axis):
    scores = np.random.default_rng(0).random(shape).astype("float32") + 0.5
    scale = np.ones(shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(shape))])
    scale[tuple(0 if i != axis else slice(3) for i in range(len(shape)))] = BIG
    wrong = np.where(scale == 1.0, scores * 1.02, scores)
    assert error(scores * scale, wrong * scale) == pytest.approx(0.02, rel=0.1)
    assert error(scores * scale, scores * scale) == 0.0


def test_a_class_that_is_next_to_impossible_is_allowed_its_rounding():
    softmax = np.array([[1.0, 1e-9], [1.0, 3e-9]])
    assert error(softmax, softmax * [[1.0, 1.01]]) < 1e-5
    assert error(softmax, softmax * [[1.0, 1e6]]) > 1.0


def test_infinities_and_nans_are_compared_by_place():
    masked = np.array([[1.0, INF, -INF, np.nan]])
    assert error(masked, masked * 1.0) == 0.0
    assert error(masked, masked * [[1.5, 1, 1, 1]]) == pytest.approx(0.5)
    for place, other in ((0, INF), (0, np.nan), (1, 1.0), (1, -INF), (1, np.nan), (3, 1.0), (3, INF)):
        changed = masked.copy()
        changed[0, place] = other
        assert error(masked, changed) == INF


def test_integers_and_booleans_by_their_share():
    classes = np.arange(100).reshape(1, 10, 10)
    other = classes.copy()
    other[0, 0, :3] = 77
    assert error(classes, classes) == 0.0
    assert error(classes, other) == pytest.approx(0.03)
    assert error(classes > 5, classes > 5) == 0.0
    assert error(classes > 5, classes <= 5) == 1.0
    assert error(np.array(True), np.array(False)) == 1.0


def test_outputs_of_any_kind():
    assert error(np.float32(3.0), np.float32(3.0)) == 0.0
    assert error(np.array([1 + 1j]), np.array([1 - 1j])) == pytest.approx(2**0.5)
    assert error(np.zeros((0, 6)), np.zeros((0, 6))) == 0.0
    assert error(np.array(True), np.array([True])) == 0.0  # as ONNX has it
    assert error(np.array(3.0), np.array([4.0])) == pytest.approx(1 / 3)
    assert error(np.ones(2), np.ones((1, 2))) == INF
    assert error(np.float16([[6e4, 1.0]]), np.float16([[-6e4, 1.0]])) == pytest.approx(2.0)
    half = paddle.to_tensor([[1.0, 2.0]]).astype("bfloat16")
    assert largest_error(half, half) == 0.0
    assert largest_error(half, half * 2) == pytest.approx(1.0)
    assert largest_error(None, None) == 0.0


def test_results_are_matched_by_name():
    a, b = paddle.ones([1, 2]), paddle.full([1, 2], 2.0)
    assert largest_error({"a": a, "b": b}, {"b": b, "a": a}) == 0.0
    assert largest_error({"a": a, "b": b}, {"a": b, "b": a}) == pytest.approx(1.0)
    assert largest_error([a, {"x.y": a, "x": {"y": b}}], [a, {"x.y": a, "x": {"y": a}}]) == 0.5
    assert largest_error([a, b], [a]) == largest_error([a], [a, b]) == INF


def test_what_differs_is_named():
    ones = np.ones((2, 3))
    assert what_differs({"a": ones, "b": ones}, {"a": ones, "b": ones * 2}) == (
        "output 'b' is off by 1.0e+00 of its scale"
    )
    assert what_differs({"": ones}, {"": ones[:1]}) == "output is (1, 3) instead of (2, 3)"
    assert what_differs({"": ones}, {"": ones[0]}) == "output is (3,) instead of (2, 3)"
    assert "isn't finite at other places" in what_differs({"": ones}, {"": ones * np.nan})
    assert "other values at 5.0e-01 of its places" in what_differs(
        {"": np.array([1, 2])}, {"": np.array([1, 3])}
    )


def test_outputs_that_are_next_to_nothing_in_a_network_without_float64():
    tiny = {"": np.full((1, 4), 1e-9)}
    assert are_equal(tiny, {"": np.full((1, 4), 2e-9)}, None, TOLERANCE)
    assert not are_equal(tiny, {"": np.full((1, 4), 2e-5)}, None, TOLERANCE)


class TwoWays(nets.PlainNet):
    """PlainNet's scores, handed to a function that makes the result of them."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def forward(self, x):
        return self.result(nets.PlainNet.forward(self, x))


def masked(y):
    return paddle.concat([y, paddle.full([2, 1], -INF)], 1)


RESULTS = {
    "a dict that isn't in order": lambda y: {"scores": y, "classes": y.argmax(1), "a": y * 2},
    "nested": lambda y: (y, {"z": [y + 1, y - 1], "b": y[:, :2]}),
    "integers": lambda y: y.argmax(1),
    "booleans": lambda y: (y > 0, y),
    "masked": masked,
    "far out": lambda y: nn.functional.sigmoid(1e3 * y - 1.5e4),
}


@pytest.mark.parametrize("how", RESULTS)
def test_whatever_a_network_gives_is_fused_and_exported(how, tmp_path):
    model = nets.trained(convert(TwoWays(RESULTS[how]), input_shape=SHAPE))
    fuse(model, input_shape=SHAPE)
    export(model, tmp_path / "out", SHAPE, tune=False)


@pytest.mark.parametrize("how", sorted(RESULTS.keys() - {"far out"}))
def test_a_wrong_layer_is_found_in_it(how, monkeypatch):
    model = nets.trained(convert(TwoWays(RESULTS[how]), input_shape=SHAPE))
    monkeypatch.setattr("spconvify.deploy.fuse.fold_into_convolution", lambda conv, norm: None)
    with pytest.raises(ConversionError, match="the fused network's output"):
        fuse(model, example=paddle.randn(SHAPE) * 3)


class Boxes(nets.PlainNet):
    """Keeps the columns with a high first score: how many they are hangs on the last bit."""

    def forward(self, x):
        y = self.bn(self.stem(x)).flatten()
        return y[paddle.sin(1e7 * y) > 0]


def test_sizes_that_depend_on_the_values_are_said(tmp_path):
    model = nets.trained(Boxes())
    with pytest.raises((EngineError, ConversionError), match=r"its size depends on the values, as the"):
        export(model, tmp_path / "out", (8, 3, 16, 16), tune=False)
    assert not list(tmp_path.iterdir())


def test_it_is_checked_on_the_example(tmp_path):
    model = nets.trained(convert(nets.PlainNet()))
    seen = []

    def remember(layer, inputs):
        if paddle.in_dynamic_mode():
            seen.append(inputs[0].numpy())

    model.register_forward_pre_hook(remember)
    images = np.random.default_rng(5).random((3, 3, 16, 16), "float32")
    fuse(model, example=images)
    np.testing.assert_array_equal(seen[0], images)
    seen.clear()
    export(model, tmp_path / "out", SHAPE, tune=False, example=images, dynamic_batch=True)
    assert any(np.array_equal(value, images[:2]) for value in seen)
    with pytest.raises(
        ArgumentError, match=r"example has the shape .* the input wants \(N, 3, 16, 16\)"
    ):
        export(model, tmp_path / "other", SHAPE, tune=False, example=images[:, :, :8])
