"""The frontier's peers are fitted as they should be: exact where they can be."""

import copy

import layerwise
import numpy as np
import paddle
import pruning
import pytest
import slim_layers
from calibration_networks import images, settled
from slim_layers import GhostConv, HetConv, OctConv
from slim_operators import GhostSettings, HetSettings, OctSettings

import spconvify
from spconvify import Plan
from spconvify.calibration.capture import Call
from spconvify.calibration.output_path import OutputPath
from spconvify.operators.registry import operator_of
from spconvify.surgery.planning import plan_of
from spconvify.zoo.cifar import CifarResNet

IMAGES = images(count=48, channels=3, size=12)


@pytest.fixture(scope="module")
def network():
    paddle.seed(0)
    return settled(CifarResNet(8), IMAGES)


def outputs(model):
    model.eval()
    with paddle.no_grad():
        return model(paddle.to_tensor(IMAGES)).numpy()


def macs(model):
    return spconvify.cost(model, (1, 3, 12, 12)).macs


def test_pruning_nothing_changes_nothing(network):
    pruned = pruning.by_least_squares(network, 1.0, IMAGES)
    np.testing.assert_allclose(outputs(pruned), outputs(network), atol=1e-2)


def test_least_squares_pruning_removes_macs_and_stays_close(network):
    pruned = pruning.by_least_squares(network, 0.5, IMAGES)
    assert macs(pruned) < 0.6 * macs(network)
    missed = np.square(outputs(pruned) - outputs(network)).sum()
    assert missed < 0.3 * np.square(outputs(network) - outputs(network).mean(0)).sum()


def test_a_channel_that_says_nothing_is_pruned_first(network):
    model = copy.deepcopy(network)
    block = model.layer1[0]
    with paddle.no_grad():
        block.bn1.weight[5], block.bn1.bias[5] = 0.0, -1.0
    pruned = pruning.by_least_squares(model, 15 / 16, IMAGES)
    kept = pruned.layer1[0].conv1.weight.numpy()
    expected = np.delete(block.conv1.weight.numpy(), 5, axis=0)
    np.testing.assert_array_equal(kept, expected)


def test_hetconv_with_one_part_is_a_dense_convolution(network):
    new = layerwise.replaced(network, lambda _: HetSettings(1), IMAGES)
    np.testing.assert_allclose(outputs(new), outputs(network), atol=2e-2)


@pytest.mark.parametrize(
    "build",
    [
        lambda: OctConv(8, 12),
        lambda: OctConv(8, 12, low=0.75),
    ],
)
def test_conjugate_gradients_find_the_layer_that_was_there(build):
    x = images(count=16)
    wanted = build()
    y = wanted(paddle.to_tensor(x)).numpy()
    path = OutputPath(np.ones(12, np.float32), np.zeros(12, np.float32))
    calls = [Call(a.transpose(0, 2, 3, 1), y.transpose(0, 2, 3, 1)) for a in (x, x)]
    layer = build()
    with paddle.no_grad():
        layerwise._Problem(layer, *calls, path).solve(layer.parameters(), 300)
    found = layer(paddle.to_tensor(x)).numpy()
    assert np.square(found - y).sum() < 1e-3 * np.square(y - y.mean()).sum()


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(
    "layer", [lambda: GhostConv(8, 16), lambda: HetConv(8, 16), lambda: OctConv(8, 16)]
)
def test_the_shape_is_that_of_a_padded_3x3(layer, size):
    assert layer()(paddle.randn([2, 8, size, size])).shape == [2, 16, size, size]


def test_stride_2_halves_odd_maps_too():
    for layer in (GhostConv(8, 16, 2), HetConv(8, 16, 2)):
        assert layer(paddle.randn([2, 8, 7, 7])).shape == [2, 16, 4, 4]


def test_ghost_starts_with_half_of_the_outputs_and_no_channel_twice(network):
    new = layerwise.replaced(network, lambda _: GhostSettings(), IMAGES[:16])
    order = new.layer1[0].conv1.order.numpy()
    assert sorted(order) == list(range(16))
    assert 0.4 < macs(new) / macs(network) < 0.7
    missed = np.square(outputs(new) - outputs(network)).sum()
    # the worst case: with random kernels no output is like another
    assert missed < np.square(outputs(network) - outputs(network).mean(0)).sum()


def test_the_low_resolution_is_repeated_in_place():
    x = paddle.to_tensor(np.arange(6, dtype="float32").reshape(1, 1, 2, 3))
    expected = x.numpy().repeat(2, axis=2).repeat(2, axis=3)[:, :, :3, :5]
    np.testing.assert_array_equal(slim_layers._repeated(x, 3, 5).numpy(), expected)


SETTINGS = [GhostSettings(2), GhostSettings(4), HetSettings(2), OctSettings(0.5)]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_peers_are_planned_converted_saved_and_loaded_as_spconv_is(network, settings, tmp_path):
    plan = Plan({"layer1.0.conv1": settings, "layer3.0.conv2": settings})
    assert Plan.from_json(plan.to_json()) == plan
    assert operator_of(spconvify.convert(network, plan=plan).layer1[0].conv1).name in str(plan)
    new = spconvify.convert(network, plan=plan, init="lstsq", calibration=[IMAGES])
    assert plan_of(new) == plan
    assert [row.name for row in spconvify.cost(new, (1, 3, 12, 12)).layers].count("layer1.0.conv1") == 1
    path = spconvify.save(new, tmp_path / "new.pdparams")
    loaded = spconvify.load(path, CifarResNet(8))
    np.testing.assert_array_equal(outputs(loaded), outputs(new))
    fused = spconvify.fuse(new, input_shape=(2, 3, 12, 12))
    assert type(fused.layer1[0].conv1) is type(new.layer1[0].conv1)
    np.testing.assert_allclose(outputs(fused), outputs(new), rtol=1e-4, atol=1e-3)


def test_a_peer_that_fits_no_channels_is_refused():
    with pytest.raises(spconvify.ArgumentError, match="16 channels can't be divided by 3"):
        spconvify.convert(CifarResNet(8), plan=Plan({"layer1.0.conv1": HetSettings(3)}))
    with pytest.raises(spconvify.ArgumentError, match="isn't eligible: stride 2"):
        spconvify.convert(CifarResNet(8), plan=Plan({"layer2.0.conv1": OctSettings()}))
