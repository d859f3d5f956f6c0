"""Calibration of whole networks: exact where it can be, better than what it replaces elsewhere."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from calibration_networks import Residual, converted, give_structure, images, settled
from paddle import nn

import spconvify
from spconvify.errors import ArgumentError
from spconvify.operators.spconv import fitter
from spconvify.operators.spconv.refine import Score
from spconvify.surgery.calibrate import CalibrationWarning, calibrate


def block(stride=1, structured=False):
    paddle.seed(0)
    model = nn.Sequential(Residual(stride=stride), Residual())
    if structured:
        for index, layer in enumerate([model[0].conv1, model[0].conv2, model[1].conv1, model[1].conv2]):
            give_structure(layer, seed=index)
    return settled(model, images(64, seed=9))


def outputs(model, x):
    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(x)).numpy()


def miss(model, reference, x):
    wanted = outputs(reference, x)
    return np.square(outputs(model, x) - wanted).mean() / wanted.var()


@pytest.mark.parametrize("stride", [1, 2])
def test_spconvs_own_structure_is_found_and_exact(stride):
    """On a map with odd size too."""
    model = block(stride, structured=True)
    new, sites = converted(model)
    errors = calibrate(model, sites, new, [images(32, size=11)])
    assert list(errors) == ["0.conv1", "0.conv2", "1.conv1", "1.conv2"]
    assert max(errors.values()) < 1e-6
    fresh = images(8, size=11, seed=5)
    np.testing.assert_allclose(outputs(new, fresh), outputs(model, fresh), atol=5e-3)


@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.parametrize("stride", [1, 2])
def test_fits_far_better_than_a_copy_and_generalises(fusion, stride):
    model = block(stride)
    new, sites = converted(model, fusion=fusion)
    fresh = images(16, seed=5)
    before = miss(new, model, fresh)
    errors = calibrate(model, sites, new, [images(48), images(16, seed=2)])
    after = miss(new, model, fresh)
    assert after < 0.6 * before
    # the last error is that of the network's output
    assert errors["1.conv2"] == pytest.approx(after, rel=0.5)


def test_is_deterministic_for_a_seed():
    model, states = block(), []
    for seed in (0, 0):
        new, sites = converted(model)
        calibrate(model, sites, new, [images()], seed=seed)
        states.append({key: value.numpy() for key, value in new.state_dict().items()})
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][key], states[1][key]) for key in states[0])


def test_leaves_the_original_the_modes_and_the_hooks_as_they_were():
    model = block()
    kept = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    model.train()
    new, sites = converted(model)
    calibrate(model, sites, new, [images()])
    assert all(np.array_equal(kept[key], value.numpy()) for key, value in model.state_dict().items())
    assert all(layer.training for layer in [*model.sublayers(True), *new.sublayers(True)])
    assert not any(layer._forward_post_hooks for layer in [*model.sublayers(True), *new.sublayers(True)])


def test_the_order_of_channels_is_saved_and_loads():
    model = block()
    new, sites = converted(model)
    calibrate(model, sites, new, [images()])
    assert any(layer.channels.numpy().tolist() != list(range(8)) for layer in sites.values())
    again, _ = converted(model)
    again.set_state_dict(new.state_dict())
    np.testing.assert_array_equal(outputs(again, images(2)), outputs(new, images(2)))


class Shared(nn.Layer):
    """One convolution at two places."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        x = nn.functional.relu(self.conv(x))
        return nn.functional.relu(self.conv(x * 0.5))


def test_a_convolution_called_twice_is_fitted_on_both_calls():
    paddle.seed(1)
    model = Shared()
    new, sites = converted(model)
    before = miss(new, model, images(8, seed=5))
    errors = calibrate(model, sites, new, [images()])
    assert list(errors) == ["conv"]
    assert miss(new, model, images(8, seed=5)) < 0.8 * before


class Dead(nn.Layer):
    def __init__(self):
        super().__init__()
        self.used, self.unused = (nn.Conv2D(8, 8, 3, padding=1) for _ in range(2))

    def forward(self, x):
        return self.used(x)


def test_a_layer_that_is_never_reached_keeps_its_weights_and_is_named():
    model = Dead()
    new, sites = converted(model)
    kept = sites["unused"].gwc.weight.numpy().copy()
    with pytest.warns(CalibrationWarning, match="never reached .*'unused'"):
        assert list(calibrate(model, sites, new, [images()])) == ["used"]
    np.testing.assert_array_equal(sites["unused"].gwc.weight.numpy(), kept)


def test_a_layer_whose_input_never_changes_keeps_its_weights_and_is_named():
    model = block()
    new, sites = converted(model)
    kept = sites["0.conv1"].gwc.weight.numpy().copy()
    with pytest.warns(CalibrationWarning, match="layer '0.conv1': its input never changes"):
        assert "0.conv1" not in calibrate(model, sites, new, [np.zeros((4, 8, 6, 6), "float32")])
    np.testing.assert_array_equal(sites["0.conv1"].gwc.weight.numpy(), kept)


def test_too_few_images_are_said():
    model = block()
    new, sites = converted(model)
    with pytest.warns(CalibrationWarning, match="give more calibration images"):
        calibrate(model, sites, new, [images(1, size=6)])
    assert np.isfinite(outputs(new, images(2))).all()


def test_images_that_do_not_fit_the_network_are_refused_before_anything_is_written():
    model = block()
    new, sites = converted(model)
    kept = {key: value.numpy().copy() for key, value in new.state_dict().items()}
    with pytest.raises(ArgumentError, match=r"doesn't run on an input of 2x3x10x10.*calibration images"):
        calibrate(model, sites, new, [images(4, channels=3)])
    assert all(np.array_equal(kept[key], value.numpy()) for key, value in new.state_dict().items())


class Forwards(Residual):
    """Calls what its layers' ``forward`` are, past their ``__call__``."""

    def forward(self, x):
        y = nn.functional.relu(self.bn1.forward(self.conv1.forward(x)))
        return nn.functional.relu(self.bn2(self.conv2.forward(y)) + x)


def test_layers_whose_forward_is_called_directly_are_fitted_and_fused():
    paddle.seed(0)
    x = images(96)
    model = settled(Forwards(), x[:64])
    model.eval()
    new, sites = converted(model)
    before = miss(new, model, x[64:])
    assert calibrate(model, sites, new, [x[:64]]).keys() == sites.keys()
    assert miss(new, model, x[64:]) < 0.6 * before
    assert not any("forward" in vars(layer) for layer in (*model.sublayers(), *new.sublayers()))
    new.eval()
    fused = spconvify.fuse(new, input_shape=(2, 8, 10, 10))
    assert not any(isinstance(layer, spconvify.SPConv2D) for layer in fused.sublayers())
    x = paddle.to_tensor(x[:2])
    np.testing.assert_allclose(fused(x).numpy(), new(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("count", [1, 12])
def test_a_later_batch_that_does_not_fit_is_refused_and_nothing_is_left_of_it(count, inplace):
    model = block()
    kept = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    batches = [images(16), images(count, channels=3)]
    with pytest.raises(ArgumentError, match=r"doesn't run on an input of \d+x3x10x10.*give.* images of"):
        spconvify.convert(model, init="lstsq", calibration=batches, inplace=inplace)
    assert kept.keys() == model.state_dict().keys()
    assert all(np.array_equal(kept[key], value.numpy()) for key, value in model.state_dict().items())


def test_progress_names_every_layer_and_the_end():
    model, seen = block(), []
    new, sites = converted(model)
    calibrate(model, sites, new, [images()], progress=lambda *step: seen.append(step))
    texts = [*(f"fitting {name}" for name in sites), "fitted"]
    assert seen == [(index, 4, text) for index, text in enumerate(texts)]


def test_channels_last():
    paddle.seed(0)
    model = settled(Residual(data_format="NHWC"), images(64).transpose(0, 2, 3, 1))
    new, sites = converted(model)
    x = images(32).transpose(0, 2, 3, 1)
    before = miss(new, model, x)
    calibrate(model, sites, new, [x])
    assert miss(new, model, x) < 0.6 * before


def test_float64_networks_and_a_layer_without_bias():
    paddle.seed(0)
    model = settled(Residual(), images(64)).to(dtype="float64")
    new, sites = converted(model)
    for layer in sites.values():
        layer.conv1x1.bias = None
    calibrate(model, sites, new, [images()])
    assert sites["conv1"].gwc.weight.dtype == paddle.float64
    fresh = images(8, seed=5).astype("float64")
    assert miss(new, model, fresh) < 0.5


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(12, 14), (9, 11)])
def test_padding_same_with_dilation_is_fitted_on_the_pixels_that_the_layer_sees(stride, size):
    paddle.seed(0)
    conv = nn.Conv2D(8, 8, 3, stride=stride, padding="SAME", dilation=2, bias_attr=False)
    model = nn.Sequential(conv)
    give_structure(model[0])
    new, sites = converted(model)
    x = np.random.default_rng(0).standard_normal((16, 8, *size)).astype("float32")
    assert calibrate(model, sites, new, [x])["0"] < 1e-6
    assert miss(new, model, x[:, :, :, ::-1].copy()) < 1e-6


def few_positions():
    """A network that is wide for its maps: 208 weights an output, 64 positions an image."""
    paddle.seed(0)
    layers = [nn.Conv2D(3, 64, 3, padding=1)]
    for _ in range(3):
        layers += [nn.Conv2D(64, 64, 3, padding=1, bias_attr=False), nn.BatchNorm2D(64), nn.ReLU()]
    return settled(nn.Sequential(*layers), coarse(64, 9))


def coarse(count, seed):
    x = np.random.default_rng(seed).standard_normal((count, 3, 4, 4))
    return x.repeat(2, 2).repeat(2, 3).astype("float32")


@pytest.mark.parametrize("count", [1, 2, 6])
@pytest.mark.parametrize("fusion", ["sum", "gap"])
@pytest.mark.filterwarnings("ignore::spconvify.surgery.calibrate.CalibrationWarning")
def test_few_positions_do_no_worse_on_other_images_than_copied_weights(count, fusion):
    model = few_positions()
    new, sites = converted(model, fusion=fusion)
    copied = miss(new, model, coarse(32, 2))
    errors = calibrate(model, sites, new, [coarse(count, 1)])
    missed = miss(new, model, coarse(32, 2))
    assert missed < copied
    assert max(errors.values()) > 0.3 * min(missed, 1.0)  # no 0.0 for what is bad elsewhere


def test_a_fit_that_does_worse_than_the_copy_is_not_used_and_named(monkeypatch):
    """The judge is told that the copied weights are perfect."""
    model = block()
    new, sites = converted(model)
    kept = {key: value.numpy().copy() for key, value in new.state_dict().items()}
    monkeypatch.setattr(fitter, "judge_copy", lambda *_: Score(0.0, 1.0))
    with pytest.warns(CalibrationWarning, match=r"layer '0.conv1': on positions left out of the fit"):
        report = calibrate(model, sites, new, [images()])
    assert set(report.copied) == set(sites)
    assert set(report.values()) == {0.0}  # the error of what is kept
    assert all(np.array_equal(kept[key], value.numpy()) for key, value in new.state_dict().items())


class Overflowing(nn.Layer):
    """What goes through its second convolution is beyond float32."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2D(8, 8, 3, padding=1, bias_attr=False) for _ in range(2))

    def forward(self, x):
        return self.second(self.first(x) * 1e30) * 1e-30


def test_what_is_not_finite_is_not_fitted_to_and_the_layer_is_named():
    paddle.seed(0)
    model = Overflowing()
    new, sites = converted(model)
    with pytest.warns(CalibrationWarning, match="layer 'second': what goes through it .* isn't finite"):
        report = calibrate(model, sites, new, [images()])
    assert list(report) == ["first"]
    assert np.isfinite(outputs(new, images(2))).all()


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12])
@pytest.mark.filterwarnings("ignore::spconvify.surgery.calibrate.CalibrationWarning")
def test_tiny_and_huge_values_leave_finite_weights(scale):
    model = nn.Sequential(nn.Conv2D(8, 8, 3, padding=1))
    new, sites = converted(model)
    calibrate(model, sites, new, [images() * np.float32(scale)])
    assert all(np.isfinite(value.numpy()).all() for value in new.state_dict().values())


def test_weights_that_overflow_in_the_layers_own_dtype_are_taken_back(monkeypatch):
    model = block()
    new, sites = converted(model)
    kept = sites["0.conv1"].gwc.weight.numpy().copy()

    def assign_infinite(spconv, fit, gate):
        spconv.gwc.weight.set_value(paddle.full_like(spconv.gwc.weight, np.inf))

    monkeypatch.setattr(fitter, "assign_fit", assign_infinite)
    with pytest.warns(CalibrationWarning, match="layer '0.conv1': its fitted 'gwc.weight' would not be"):
        report = calibrate(model, sites, new, [images()])
    assert set(report.copied) == set(sites)
    np.testing.assert_array_equal(sites["0.conv1"].gwc.weight.numpy(), kept)


@pytest.mark.parametrize("count", [1, 8])
def test_a_parameter_that_is_added_counts_as_a_number_does(count):
    """relu(bn(conv) + 3): in batches of one the parameter has the shape of a shortcut, else not."""

    class Added(nn.Layer):
        def __init__(self, as_parameter):
            super().__init__()
            paddle.seed(0)
            self.block, self.as_parameter = Residual(), as_parameter
            three = nn.initializer.Constant(3.0)
            self.place = self.create_parameter([1, 8, 10, 10], default_initializer=three)

        def forward(self, x):
            y = nn.functional.relu(self.block.bn1(self.block.conv1(x)))
            y = self.block.bn2(self.block.conv2(y))
            return nn.functional.relu(y + (self.place if self.as_parameter else 3.0))

    batches, fresh, found = np.split(images(32), 32 // count), images(16, seed=5), []
    for as_parameter in (False, True):
        model = settled(Added(as_parameter), images(32))
        new, sites = converted(model)
        calibrate(model, sites, new, batches)
        found.append(miss(new, model, fresh))
    assert found[1] < 1.02 * found[0]
