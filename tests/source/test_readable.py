"""What is saved can be loaded again, or isn't saved."""

import networks as nets
import pytest
from paddle import nn

from spconvify import CheckpointError, convert, load, save


class LikeOurs(nn.Layer):
    """A block of its own whose convolutions are called like those of an SPConv."""

    def __init__(self):
        super().__init__()
        self.gwc = nn.Conv2D(8, 8, 3, padding=1, groups=2)
        self.pwc, self.conv1x1 = nn.Conv2D(8, 8, 1), nn.Conv2D(8, 8, 1)

    def forward(self, x):
        return self.gwc(x) + self.pwc(x) + self.conv1x1(x)


class Net(nn.Layer):
    def __init__(self, name, block=None):
        super().__init__()
        self.name = name
        self.stem = block or nn.Conv2D(8, 8, 3, padding=1)
        self.add_sublayer(name, nn.Conv2D(8, 8, 3, padding=1))

    def forward(self, x):
        return self._sub_layers[self.name](self.stem(x))


@pytest.mark.parametrize("suffix", [".pdparams", ".safetensors"])
@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Net(""), "SPConv at the root: 'gwc.weight' is missing"),
        (Net("conv", LikeOurs()), "SPConv at 'stem'|its layer 'stem' has parts"),
    ],
)
def test_what_nobody_could_load_is_not_saved(tmp_path, network, message, suffix):
    slim = convert(network, input_shape=(1, 8, 8, 8))
    with pytest.raises(CheckpointError, match=f"nobody could load it again: ({message})"):
        save(slim, tmp_path / f"x{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "make", [nets.PlainNet, nets.SharedConvNet, lambda: nn.Conv2D(8, 8, 3, padding=1)]
)
def test_what_is_saved_can_be_loaded(tmp_path, make):
    network = make()
    shape = (1, 8, 8, 8) if isinstance(network, nn.Conv2D) else None
    for saved in (network, convert(network, fusion="sum", input_shape=shape)):
        save(saved, tmp_path / "x.pdparams")
        load(tmp_path / "x.pdparams", make())


def test_a_replaced_layer_below_a_name_with_dots_is_saved_and_loaded(tmp_path):
    def build():
        network, block = nn.Sequential(nn.Conv2D(3, 8, 3, padding=1)), nn.Sequential()
        block.add_sublayer("conv", nn.Conv2D(8, 8, 3, padding=1))
        network.add_sublayer("yolo_block.0", block)  # as PaddleDetection calls them
        return network

    converted = convert(build(), input_shape=(1, 3, 16, 16))
    path = save(converted, tmp_path / "w.safetensors")
    loaded = load(path, build()).state_dict()
    assert all((loaded[key] == value).all() for key, value in converted.state_dict().items())
