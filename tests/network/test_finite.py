"""Weights that aren't finite are found by name, and never saved."""

from __future__ import annotations

import numpy as np
import paddle
import pytest
from networks import PlainNet, trained
from paddle import nn

import spconvify
from spconvify.errors import CheckpointError, ConversionError, EngineError
from spconvify.network.finite import not_finite


def broken(key, value):
    model = trained(PlainNet())
    tensor = dict(model.state_dict())[key]
    array = tensor.numpy().copy()
    array.flat[0] = value
    tensor.set_value(array)
    return model


@pytest.mark.parametrize("key", ["conv1.weight", "bn._variance", "bn._mean", "head.bias"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("suffix", ["pdparams", "safetensors"])
def test_nothing_is_saved(tmp_path, key, value, suffix):
    model = broken(key, value)
    assert not_finite(model) == [key]
    path = tmp_path / f"net.{suffix}"
    with pytest.raises(CheckpointError, match=f"'{key}' holds NaN or infinity, so nothing was saved"):
        spconvify.save(model, path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("init", ["copy", "none", "lstsq"])
def test_nothing_is_converted(init):
    images = [np.ones((4, 3, 16, 16), "float32")] if init == "lstsq" else None
    with pytest.raises(ConversionError, match=r"'conv2.weight' holds NaN or infinity"):
        spconvify.convert(broken("conv2.weight", np.nan), init=init, calibration=images)


def test_a_mask_may_hold_infinity_but_no_nan(tmp_path):
    model = trained(PlainNet())
    mask = paddle.full([2, 2], -np.inf)
    model.register_buffer("mask", mask)
    assert not_finite(model) == []
    spconvify.save(model, tmp_path / "net.pdparams")
    model.register_buffer("mask", mask * 0)
    assert not_finite(model) == ["mask"]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_every_floating_dtype(dtype):
    model = nn.Linear(2, 2)
    model.to(dtype=dtype)
    assert not_finite(model) == []
    model.bias.set_value(paddle.full([2], np.nan).astype(dtype))
    assert not_finite(model) == ["bias"]


def test_nothing_is_exported(tmp_path):
    with pytest.raises(EngineError, match=r"'head.weight' holds NaN .* nothing was exported"):
        spconvify.export(broken("head.weight", np.inf), tmp_path / "out", (1, 3, 16, 16), tune=False)
    assert list(tmp_path.iterdir()) == []
