"""The order of the channels stays what it is, whatever happens to the network's other tensors."""

import copy
import pickle

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import CheckpointError, SPConv2D, convert, fuse, load, save
from spconvify.checkpoint import read_state, write_state


@pytest.fixture
def slim():
    network = nets.trained(nn.Sequential(nets.conv(3), nn.ReLU(), nets.conv(8, 8)))
    x = paddle.randn([6, 3, 10, 10])
    slim = convert(network, fusion="sum", init="lstsq", calibration=[x], input_shape=(1, 3, 10, 10))
    slim.eval()
    slim[2].channels = paddle.to_tensor([3, 1, 0, 2, 7, 5, 6, 4])
    return slim


def order(network):
    channels = network[2].channels
    assert channels.dtype == paddle.int64
    return channels.tolist()


def averaged(state):
    return {key: 0.999 * value + 0.001 * value for key, value in state.items()}


CASTS = {
    "to": lambda net: net.to(dtype="float32"),
    "to and back": lambda net: net.to(dtype="bfloat16").to(dtype="float32"),
    "to half and back": lambda net: net.to(dtype="float16").to(dtype="float32"),
    "float": lambda net: net.float(),
    "astype": lambda net: net.astype("float32"),
    "to a place": lambda net: net.to(device="cpu"),
    "average": lambda net: net.set_state_dict(averaged(net.state_dict())),
    "average of a copy": lambda net: copy.deepcopy(net).set_state_dict(averaged(net.state_dict())),
    "arrays": lambda net: net.set_state_dict({k: v.numpy() for k, v in net.state_dict().items()}),
    "floats": lambda net: net.set_state_dict(
        {k: v.numpy().astype("float32") for k, v in net.state_dict().items()}
    ),
    "doubles": lambda net: net.set_state_dict(
        {k: v.numpy().astype("float64" if "channels" in k else "float32")
         for k, v in net.state_dict().items()}
    ),
    "decorate": lambda net: paddle.amp.decorate(net, level="O2", dtype="bfloat16").float(),
    "deepcopy": copy.deepcopy,
}  # fmt: skip


@pytest.mark.parametrize("cast", CASTS)
def test_survives(slim, cast):
    x = paddle.randn([2, 3, 10, 10])
    expected, wanted = slim(x), order(slim)
    result = CASTS[cast](slim)
    for network in (slim, result if isinstance(result, nn.Layer) else slim):
        assert order(network) == wanted
        assert network(x).numpy() == pytest.approx(expected.numpy(), abs=0.1)
    assert order(copy.deepcopy(slim)) == wanted


def test_an_average_makes_a_new_order(slim):
    ema = copy.deepcopy(slim)
    slim[2].channels = paddle.to_tensor([0, 1, 2, 3, 4, 5, 6, 7])
    ema.set_state_dict(averaged(slim.state_dict()))
    assert order(ema) == list(range(8))


def test_is_saved_as_any_tensor(slim, tmp_path):
    wanted = order(slim)
    paddle.save(slim.state_dict(), str(tmp_path / "flat.pdparams"))
    paddle.save(
        {"model": slim.state_dict(), "list": [slim[2].channels]}, str(tmp_path / "nested.pdparams")
    )
    flat = paddle.load(str(tmp_path / "flat.pdparams"))
    nested = paddle.load(str(tmp_path / "nested.pdparams"))
    assert flat["2.channels"].tolist() == nested["model"]["2.channels"].tolist() == wanted
    assert type(flat["2.channels"]) is paddle.Tensor
    assert read_state(str(tmp_path / "flat.pdparams"))["2.channels"].tolist() == wanted
    assert pickle.loads(pickle.dumps(slim[2].channels))[1].tolist() == wanted


def test_a_fused_network_survives_too(slim):
    outer = nn.Sequential(nn.Identity(), slim)
    outer.eval()
    fused = fuse(outer, input_shape=(1, 3, 10, 10), engine="eager")
    x = paddle.randn([2, 3, 10, 10])
    expected = fused(x)
    fused.to(dtype="float64").to(dtype="float32")
    np.testing.assert_allclose(fused(x).numpy(), expected.numpy(), atol=1e-5)


def test_a_checkpoint_that_was_cast_as_a_whole_loads(slim, tmp_path):
    state = {key: value.numpy().astype("float32") for key, value in slim.state_dict().items()}
    write_state(tmp_path / "x.pdparams", state)
    fresh = nn.Sequential(nets.conv(3), nn.ReLU(), nets.conv(8, 8))
    loaded = load(tmp_path / "x.pdparams", fresh)
    assert order(loaded) == order(slim)
    state["2.channels"] = state["2.channels"] + 0.5
    write_state(tmp_path / "y.pdparams", state)
    with pytest.raises(CheckpointError, match=r"'2\.channels' isn't a permutation"):
        load(tmp_path / "y.pdparams", nn.Sequential(nets.conv(3), nn.ReLU(), nets.conv(8, 8)))


class Counts(nn.Layer):
    """Somebody's own integer buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("steps", paddle.to_tensor([3]))

    def forward(self, x):
        return x


def test_integers_of_any_layer_load_from_floats(tmp_path):
    write_state(tmp_path / "x.pdparams", {"steps": np.float32([7])})
    loaded = load(tmp_path / "x.pdparams", Counts())
    assert (loaded.steps.dtype, loaded.steps.tolist()) == (paddle.int64, [7])
    write_state(tmp_path / "y.pdparams", {"steps": np.float32([7.5])})
    with pytest.raises(CheckpointError, match="steps is float32 and not int64"):
        load(tmp_path / "y.pdparams", Counts())


def test_saving_and_loading_keep_it(slim, tmp_path):
    path = save(slim, tmp_path / "x.safetensors")
    assert order(load(path, nn.Sequential(nets.conv(3), nn.ReLU(), nets.conv(8, 8)))) == order(slim)
    assert isinstance(slim[2], SPConv2D)
