"""An operator and an init from outside the package do all that the package's own do."""

from dataclasses import dataclass

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ArgumentError, Plan, convert, cost, fuse, load, plan, save
from spconvify.calibration.task import LayerFit
from spconvify.network.replacement import Replacement
from spconvify.operators import inits, registry
from spconvify.operators.base import Operator
from spconvify.operators.recognised import join
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.surgery.planning import plan_of
from spconvify.surgery.sites import find_sites


@dataclass(frozen=True)
class ToySettings:
    """Every kernel is one 1x1, times `gain`."""

    gain: float = 1.0

    def check(self):
        if self.gain <= 0:
            raise ArgumentError(f"gain {self.gain} isn't positive")


class ToyLayer(Replacement):
    called = "a toy"

    def __init__(self, in_channels, out_channels, gain):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.stride, self.data_format = 1, "NCHW"
        self.toy = nn.Conv2D(in_channels, out_channels, 1)
        self.register_buffer("gain", paddle.to_tensor([gain]))

    def forward(self, x):
        return self.toy(x) * self.gain


@dataclass(frozen=True)
class ToyFound:
    in_channels: int
    out_channels: int
    keys = frozenset({"toy.weight", "toy.bias", "gain"})
    permutations = frozenset()
    settings = ToySettings()


class Toy(Operator):
    name, settings, layer = "toy", ToySettings, ToyLayer

    def recognise(self, shapes):
        sites = [key[: -len("toy.weight")].rstrip(".") for key in shapes if key.endswith("toy.weight")]
        return {site: ToyFound(*shapes[join(site, "toy.weight")][1::-1]) for site in sites}

    def why_not(self, conv, settings=None):
        return "" if list(conv._kernel_size) == [3, 3] and conv._groups == 1 else "not for a toy"

    def build(self, conv, settings):
        return ToyLayer(conv._in_channels, conv._out_channels, settings.gain)

    def settings_of(self, layer):
        return ToySettings(layer.gain.item())

    def copy(self, layer, conv):
        layer.toy.weight.set_value(conv.weight.sum(axis=[2, 3], keepdim=True))

    def fit(self, task):
        _, bias = task.dense()
        layer: ToyLayer = task.layer
        layer.toy.bias.set_value(bias + 3.0)
        return LayerFit(0.25)


class Ones(inits.Init):
    name = "ones"

    def start(self, operator, layer, conv):
        for parameter in layer.parameters():
            parameter.set_value(paddle.ones_like(parameter))


@pytest.fixture(autouse=True)
def _known(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(inits, "_INITS", dict(inits._INITS))
    registry.register(Toy())
    inits.register(Ones())


def both():
    """A toy and an SPConv in one network."""
    return Plan({"conv1": ToySettings(2.0), "conv2": SPConvSettings(0.25, fusion="sum")})


def test_is_planned_and_printed_beside_others():
    text = both().to_json()
    assert Plan.from_json(text) == both()
    assert str(both()).splitlines() == [
        "conv1: toy, gain 2.0",
        "conv2: ratio 0.25, groups 2, sum",
    ]
    with pytest.raises(ArgumentError, match=r"gain -2\.0 isn't positive"):
        Plan.from_json(text.replace("2.0", "-2.0"))


def test_is_carried_out_counted_saved_loaded_and_fused(tmp_path):
    model = nets.PlainNet()
    model.eval()
    new = convert(model, plan=both())
    assert [type(new.conv1).__name__, type(new.conv2).__name__] == ["ToyLayer", "SPConv2D"]
    assert str(plan_of(new).sites["conv1"]) == "ToySettings(gain=2.0)"
    x = paddle.randn([2, 3, 16, 16])
    row = next(row for row in cost(new, x.shape).layers if row.name == "conv1")
    assert row.overhead == 2 * np.prod(row.output_shape), "the bias, and the product with the gain"
    again = load(save(new, tmp_path / "new.pdparams"), nets.PlainNet())
    again.eval()
    np.testing.assert_array_equal(again(x).numpy(), new(x).numpy())
    fused = fuse(new, input_shape=x.shape)
    assert type(fused.conv1) is ToyLayer, "it has no forms"
    np.testing.assert_allclose(fused(x).numpy(), new(x).numpy(), rtol=1e-4, atol=1e-4)
    with pytest.raises(ArgumentError, match="isn't eligible: already a toy"):
        convert(new, plan=Plan({"conv1": SPConvSettings()}))


def test_is_fitted_by_its_own_rule():
    model = nets.PlainNet()
    model.eval()
    plan = Plan({"conv1": ToySettings()})
    new = convert(model, plan=plan, init="lstsq", calibration=[np.zeros([8, 3, 16, 16], "float32")])
    expected = (0 if model.conv1.bias is None else model.conv1.bias.numpy()) + 3.0
    np.testing.assert_array_equal(new.conv1.toy.bias.numpy(), np.full([12], expected, "float32"))


def test_an_init_of_ones():
    new = convert(nets.PlainNet(), plan=both(), init="ones")
    assert new.conv1.toy.weight.numpy().min() == 1.0
    assert new.conv2.gwc.weight.numpy().min() == 1.0
    with pytest.raises(ArgumentError, match="use one of: copy, lstsq, none, ones"):
        convert(nets.PlainNet(), init="two")


def test_sites_are_judged_by_the_operator():
    assert {site.name: site.reason for site in find_sites(nets.PlainNet(), "toy")} == {
        "stem": "",
        "conv1": "",
        "point": "not for a toy",
        "conv2": "",
    }
    with pytest.raises(ArgumentError, match="operator 'x' is unknown; there are: spconv, toy"):
        find_sites(nets.PlainNet(), "x")
    with pytest.raises(ArgumentError, match="'point' isn't eligible: not for a toy"):
        convert(nets.PlainNet(), plan=Plan({"point": ToySettings()}))


def test_the_packages_own_name_is_taken():
    class Other(Toy):
        name = "spconv"

    with pytest.raises(ArgumentError, match="spconvify's own"):
        registry.register(Other())
    with pytest.raises(ArgumentError, match="object are the settings of no operator"):
        Plan({"conv1": object()}).to_json()


@pytest.mark.parametrize(("ratio", "groups"), [(0.25, 1), (0.5, 2), (0.75, 4)])
def test_what_a_change_costs_is_what_is_counted(ratio, groups):
    model = nets.PlainNet()
    made = plan(model, ratio, groups, fusion="sum")
    sites = {site.name: site for site in find_sites(model)}
    rows = {row.name: row for row in cost(convert(model, plan=made), (1, 3, 16, 16)).layers}
    assert made.changes
    for change in made.changes:
        row = rows[change.site]
        positions = int(np.prod(row.output_shape[2:]))
        assert change.macs_per_position(sites[change.site]) * positions == row.macs - row.overhead
