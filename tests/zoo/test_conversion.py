"""Every network of the catalogue converts and trains, or says that it has nothing to convert."""

import warnings

import numpy as np
import paddle
import pytest

from spconvify import NoEffectWarning, SPConv2D, convert, fuse, load, save, zoo
from spconvify.sites import find_sites
from spconvify.verify import evaluating

# 1x1, grouped and depthwise convolutions only, but for the stem.
NOTHING_TO_CONVERT = {
    name for name in zoo.names() if name.startswith(("mobilenet", "shufflenet", "resnext", "LeNet"))
}
QUICK = ("resnet18", "squeezenet1_1", "inception_v3", "mobilenet_v3_small", "LeNet", "resnet20")
SIZES = {"inception_v3": 96, "googlenet": 224, "LeNet": 28, "alexnet": 224, "squeezenet1_0": 64}


CASES = [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in zoo.names()]


def outputs_of(model, x):
    outputs = model(x)
    return list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]


@pytest.mark.parametrize("name", CASES)
def test_converts_trains_and_round_trips(name, tmp_path):
    architecture = zoo.find(name, num_classes=7)
    model = architecture.build()
    size = SIZES.get(name, 32)
    x = paddle.randn([2, architecture.in_channels, size, size])
    if name in NOTHING_TO_CONVERT:
        with pytest.warns(NoEffectWarning, match="none of the"):
            convert(model, inplace=True)
        return
    convert(model, inplace=True)
    sites = find_sites(model)
    assert any(isinstance(site.layer, SPConv2D) for site in sites)
    assert not any(site.eligible for site in sites)

    sum(output.square().mean() for output in outputs_of(model, x)).backward()
    lacking = [key for key, p in model.named_parameters() if p.trainable and p.grad is None]
    assert lacking == []

    before = {key: value.numpy() for key, value in model.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoEffectWarning)
        assert convert(model, inplace=True) is model
    save(model, tmp_path / "m.pdparams")
    loaded = load(tmp_path / "m.pdparams")
    after = loaded.state_dict()
    assert list(after) == list(before)
    for key, value in before.items():
        np.testing.assert_array_equal(after[key].numpy(), value, err_msg=key)
    with evaluating(model), evaluating(loaded), paddle.no_grad():
        for first, second in zip(outputs_of(model, x), outputs_of(loaded, x)):
            np.testing.assert_array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize("name", CASES)
def test_fused_computes_the_same(name):
    architecture = zoo.find(name, num_classes=7)
    model = architecture.build()
    size = SIZES.get(name, 64)
    if name not in NOTHING_TO_CONVERT:
        convert(model, inplace=True)
    model.eval()
    shape = (3, architecture.in_channels, size, size)
    fused = fuse(model, input_shape=shape)
    assert not any(isinstance(layer, SPConv2D) for layer in fused.sublayers())
    x = paddle.randn(shape)
    with paddle.no_grad():
        for first, second in zip(outputs_of(model, x), outputs_of(fused, x)):
            scale = float(first.abs().max())
            np.testing.assert_allclose(second.numpy(), first.numpy(), rtol=0, atol=1e-4 * scale)
