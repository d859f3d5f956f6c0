"""One pass of the original network for all layers: what a pass for each of them gives."""

import numpy as np
import paddle
import pytest
from calibration_networks import images, settled
from paddle import nn

import spconvify
from spconvify.calibration.capture import Call, capture
from spconvify.calibration.effort import FULL
from spconvify.calibration.images import CalibrationImages
from spconvify.calibration.sample import Sampler
from spconvify.calibration.targets import Targets
from spconvify.calibration.trace import trace
from spconvify.network.inputs import Inputs
from spconvify.zoo.cifar import CifarResNet


class Twice(nn.Layer):
    """One convolution called twice, another that isn't, and a shortcut over both."""

    def __init__(self, data_format="NCHW"):
        super().__init__()
        self.twice = nn.Conv2D(3, 3, 3, padding=1, data_format=data_format)
        self.once = nn.Conv2D(3, 3, 3, padding=1, data_format=data_format)

    def forward(self, x):
        y = self.twice(nn.functional.relu(self.twice(x)))
        return nn.functional.relu(self.once(nn.functional.relu(y)) + x)


def networks():
    paddle.seed(0)
    yield settled(CifarResNet(8), images(count=8, channels=3, size=12)), (3, 12, 12)
    yield Twice(), (3, 9, 7)
    yield Twice("NHWC"), (9, 7, 3)


@pytest.mark.parametrize("which", range(3))
def test_one_pass_gives_what_a_pass_for_each_layer_gives(which):
    model, shape = list(networks())[which]
    model.eval()
    batches = np.random.default_rng(0).standard_normal((2, 4, *shape)).astype("float32")
    pictures = CalibrationImages(list(batches))
    layers = {n: x for n, x in model.named_sublayers() if isinstance(x, nn.Conv2D)}
    with paddle.no_grad():
        uses = trace(model, layers, Inputs.of(pictures.first(2)).sample(model))
        targets, added = Targets(model, layers, uses, pictures), 0
        for name, calls in uses.items():
            last = layers[name]._data_format == "NHWC"
            for rows, batch in zip(targets.take(name), pictures):
                alone = capture(model, layers[name], calls, Inputs.of(batch).sample(model), last)
                assert len(rows) == len(alone) == calls.number
                for row, call in zip(rows, alone):
                    np.testing.assert_allclose(row.output, call.output[row.where], atol=1e-5)
                    assert (row.addend is None) == (call.addend is None)
                    if call.addend is not None:
                        added += 1
                        np.testing.assert_allclose(row.addend, call.addend[row.where], atol=1e-5)
    assert added


def test_the_original_network_runs_as_often_whatever_the_number_of_layers():
    x, passes = images(count=8, channels=3, size=12), []
    for depth in (8, 14):
        paddle.seed(0)
        model, seen = CifarResNet(depth), []
        model.register_forward_pre_hook(lambda layer, _, me=model, seen=seen: seen.append(layer is me))
        spconvify.convert(model, init="lstsq", fusion="sum", calibration=[x[:4], x[4:]])
        passes.append(sum(seen))
    assert passes[0] == passes[1]


@pytest.mark.parametrize(
    ("channels", "count", "per_image"), [(2, 10, 128), (32, 10, 1229), (4, 1, 1536)]
)
def test_enough_positions_are_taken_not_all(channels, count, per_image):
    assert per_image == max(FULL.fewest_per_image, -(-FULL.rows_per_channel * channels // count))
    calls = [call((count, 40, 40, 2))]
    rows = Sampler(channels, count).batch(calls)[0]
    assert len(rows.output) == count * per_image
    again = Sampler(channels, count).batch(calls)[0]
    np.testing.assert_array_equal(rows.where, again.where)
    other = Sampler(channels, count, seed=1).batch(calls)[0]
    assert not np.array_equal(rows.where, other.where)


def test_a_small_map_is_taken_whole_and_a_quarter_of_the_images_is_left_out():
    rows = Sampler(64, 8).batch([call((8, 5, 5, 2))])[0]
    assert len(rows.output) == 8 * 25
    np.testing.assert_array_equal(rows.left_out, rows.where[0] % 4 == 3)


def call(shape):
    return Call(None, np.random.default_rng(0).standard_normal(shape).astype("float32"))
