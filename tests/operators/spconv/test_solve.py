"""The closed form: against numpy's lstsq on the unrolled problem, and where it must be exact."""

from __future__ import annotations

import numpy as np
import pytest

from spconvify.calibration.moments import Geometry, MomentsAccumulator, Positions, feature_rows
from spconvify.operators.spconv.solve import fit_split, inverse_spd, relative_error

CHANNELS, OUTPUTS = 8, 8


def observe(geometry, kernel, size=(9, 8), images=6, seed=0, target=None):
    """Inputs, targets of a dense kernel (L, C, 9) and their moments."""
    random = np.random.default_rng(seed)
    x = np.maximum(random.standard_normal((images, *size, CHANNELS)), 0).astype("float32") + 0.5
    where = Positions().choose(images, geometry.out_size(size[0]), geometry.out_size(size[1]), 0)
    if target is None:
        border = geometry.padded(x)
        image, row, column = where
        windows = [
            border[image, row * geometry.stride + tap // 3, column * geometry.stride + tap % 3]
            for tap in range(9)
        ]
        target = np.einsum("trc,lct->rl", np.array(windows), kernel) + 0.25
    rows = feature_rows(x, geometry, where)
    accumulator = MomentsAccumulator(CHANNELS)
    accumulator.add(rows, target.astype("float32"))
    return accumulator.result(), rows, target


def dense_kernel(seed=1):
    return np.random.default_rng(seed).standard_normal((OUTPUTS, CHANNELS, 9)).astype("float32")


def splits(groups, representative):
    per_group = representative // groups
    order = np.random.default_rng(2).permutation(CHANNELS)[:representative]
    return [list(map(int, order[k * per_group : (k + 1) * per_group])) for k in range(groups)]


@pytest.mark.parametrize("geometry", [Geometry(), Geometry(stride=2), Geometry(padding=0)], ids=str)
@pytest.mark.parametrize(("groups", "representative"), [(1, 1), (1, 4), (2, 2), (2, 6), (4, 4)])
def test_equals_lstsq_on_the_unrolled_rows(geometry, groups, representative):
    moments, rows, target = observe(geometry, dense_kernel())
    split = splits(groups, representative)
    fit = fit_split(moments, geometry, split, ridge=1e-9)

    missed, each = 0.0, OUTPUTS // groups
    rows = rows.astype("float64")
    for index, channels in enumerate(split):
        columns = np.concatenate([moments.tap_columns(channels), moments.pooled])
        unrolled = np.hstack([rows[:, columns], np.ones((len(rows), 1))])
        wanted = target[:, index * each : (index + 1) * each].astype("float64")
        solution = np.linalg.lstsq(unrolled, wanted, rcond=None)[0]
        missed += np.square(unrolled @ solution - wanted).sum()
        np.testing.assert_allclose(fit.bias[index * each :][:each], solution[-1], atol=2e-3)
    total = np.square(target - target.mean(0)).sum()
    assert fit.error == pytest.approx(missed / total, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("geometry", [Geometry(), Geometry(stride=2)], ids=str)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_kernel_with_spconvs_structure_is_found_again(geometry, groups):
    """Error 0 and equal outputs to float precision, and no 3x3 where there was none."""
    split, each = splits(groups, 4), OUTPUTS // groups
    kernel = np.zeros((OUTPUTS, CHANNELS, 9), "float32")
    for index, channels in enumerate(split):
        own = slice(index * each, (index + 1) * each)
        kernel[own, channels] = dense_kernel()[own, channels]
    if geometry.stride == 1:  # the other kernels are 1x1
        kernel[:, :, 4] = dense_kernel(3)[:, :, 4]
    moments, _, _ = observe(geometry, kernel)
    fit = fit_split(moments, geometry, split)
    assert fit.error < 1e-6
    found = np.zeros_like(kernel)
    for index, channels in enumerate(split):
        own = slice(index * each, (index + 1) * each)
        found[own, channels] = fit.gwc[own].reshape(each, -1, 9)
    pointwise = np.concatenate([fit.pwc, fit.conv1x1], 1)[:, :, 0, 0]
    if geometry.stride == 1:
        found[:, fit.channels, 4] += pointwise
    else:
        assert np.abs(pointwise[:, 4:]).max() < 2e-3
        return
    np.testing.assert_allclose(found, kernel, atol=2e-3)
    np.testing.assert_allclose(fit.bias, 0.25, atol=2e-2)


def test_more_channels_never_fit_worse():
    moments, _, _ = observe(Geometry(), dense_kernel())
    order = [int(c) for c in np.random.default_rng(4).permutation(CHANNELS)]
    errors = []
    for count in (1, 2, 3):
        errors.append(fit_split(moments, Geometry(), [order[:count], order[4 : 4 + count]]).error)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] - errors[-1] > 0.01


def test_the_gain_weighs_outputs_in_the_error_alone():
    moments, _, _ = observe(Geometry(), dense_kernel())
    split = splits(2, 4)
    gain = np.array([1.0] + [0.0] * (OUTPUTS - 1))
    plain, weighted = (
        fit_split(moments, Geometry(), split),
        fit_split(moments, Geometry(), split, gain=gain),
    )
    np.testing.assert_array_equal(plain.gwc, weighted.gwc)
    assert plain.error != weighted.error


def test_a_constant_target_has_no_error_and_dead_channels_do_no_harm():
    geometry = Geometry()
    target = np.ones((6 * 72, OUTPUTS), "float32")
    moments, _, _ = observe(geometry, None, target=target)
    moments.gram[:] = 0.0
    moments.cross[:] = 0.0
    fit = fit_split(moments, geometry, splits(2, 4))
    assert fit.error == 0.0
    assert np.isfinite(fit.gwc).all()
    np.testing.assert_allclose(fit.bias, 1.0)


def test_a_singular_system_gets_its_least_norm_solution():
    column = np.array([[1.0], [1.0]])
    np.testing.assert_allclose(inverse_spd(column @ column.T) @ (2 * column), [[1.0], [1.0]])


def test_relative_error_of_the_mean_is_one():
    moments, _, _ = observe(Geometry(), dense_kernel())
    assert relative_error(moments, np.zeros_like(moments.cross)) == pytest.approx(1.0)
