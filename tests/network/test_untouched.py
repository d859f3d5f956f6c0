"""Runs of our own leave no trace on a network."""

import contextlib
import random

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import ConversionError, NotCheckedWarning, SpconvifyError, convert, cost, fuse
from spconvify.evaluation.accuracy import top1
from spconvify.network.untouched import untouched


class Notes:
    """Somebody's object in which a network keeps something."""

    def __init__(self):
        self.seen, self.shapes = 0, []


class Remembers(nn.Layer):
    """A forward that changes everything that it can reach."""

    def __init__(self):
        super().__init__()
        self.stem, self.conv = nets.conv(3), nets.conv()
        self.bn = nn.BatchNorm2D(8)
        self.fc = nn.Linear(8, 4)
        self.calls, self.kept, self.by_name, self.names = 0, [], {"a": [1]}, {"x"}
        self.notes, self.inputs = Notes(), {}
        self.register_buffer("count", paddle.zeros([1]))
        self.fails = False

    def forward(self, x):
        self.inputs = x  # becomes a buffer, as in PaddleDetection
        self.latest = x.shape
        self.calls += 1
        self.kept.append(x)
        self.by_name["a"].append(2)
        self.by_name["b"] = x
        self.names.add("y")
        self.notes.seen += 1
        self.notes.shapes.append(x.shape)
        self.count += 1
        self.bn.train()
        self.grown = nn.Linear(2, 2)
        self.stem.register_forward_post_hook(lambda layer, inputs, output: output)
        noise = paddle.rand([1]) + random.random() + np.random.rand()
        y = self.bn(self.conv(self.stem(x)))
        if self.fails:
            raise RuntimeError("half-way")
        return self.fc(y.mean([2, 3])) + 0.0 * noise


def look(model):
    state = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    return (
        {key: (value.shape, value.tobytes()) for key, value in state.items()},
        list(model._sub_layers),
        list(model._buffers),
        sorted(vars(model)),
        (model.calls, len(model.kept), dict(model.by_name), len(model.by_name["a"]), set(model.names)),
        (model.notes.seen, len(model.notes.shapes)),
        [layer.training for layer in model.sublayers(include_self=True)],
        len(model.stem._forward_post_hooks),
    )


def draw():
    return paddle.rand([1]).item(), random.random(), np.random.rand()


def seeds():
    paddle.seed(5)
    random.seed(5)
    np.random.seed(5)


def trials():
    image = np.zeros((2, 3, 16, 16), "float32")
    return {
        "convert": lambda model: convert(model, fusion="sum"),
        "convert with a shape": lambda model: convert(model, input_shape=(1, 3, 16, 16)),
        "lstsq": lambda model: convert(model, fusion="sum", init="lstsq", calibration=[image + 1]),
        "cost": lambda model: cost(model, (1, 3, 16, 16)),
        "fuse": lambda model: fuse(model, input_shape=(1, 3, 16, 16)),
        "top1": lambda model: top1(model, image, np.array([0, 1])),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("what", trials())
def test_leaves_no_trace(what, fails):
    model = Remembers()
    model.eval()
    model.fails = fails
    before = look(model)
    if fails:
        with contextlib.suppress(SpconvifyError):
            trials()[what](model)
    else:
        trials()[what](model)
    after = look(model)
    for one, other in zip(before, after):
        assert one == other


class Taught(Remembers):
    """Its teacher is no sub-layer, so that no optimizer sees it and eval() doesn't reach it."""

    def __init__(self):
        super().__init__()
        self.teacher = [nn.Sequential(nets.conv(3), nn.BatchNorm2D(8))]

    def forward(self, x):
        return super().forward(x) + self.teacher[0](x).mean()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", trials())
def test_leaves_no_trace_on_layers_that_are_registered_nowhere(what):
    model = Taught()
    model.eval()
    (teacher,) = model.teacher
    before = {key: value.numpy().copy() for key, value in teacher.state_dict().items()}
    with contextlib.suppress(SpconvifyError):
        trials()[what](model)
    for key, value in teacher.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key], key)
    assert teacher.training


@pytest.mark.parametrize(
    "what", ["cost", "top1"]
)  # the others make layers, with random weights at first
def test_random_states_come_back(what):
    model = Remembers()
    model.eval()
    seeds()
    expected = draw()
    seeds()
    trials()[what](model)
    assert draw() == expected


def test_what_the_converted_copy_is_given_is_the_original_s():
    model = Remembers()
    model.eval()
    converted = convert(model, fusion="sum", input_shape=(1, 3, 16, 16))
    assert (converted.calls, converted.kept, list(converted._buffers)) == (0, [], ["count"])
    assert "grown" not in converted._sub_layers


def test_containers_keep_their_identity():
    model = Remembers()
    held = model.kept, model.by_name, model.by_name["a"], model.notes
    with untouched(model):
        model.kept, model.by_name = [1], {}
        held[1]["a"].append(3)
    assert (model.kept, model.by_name, model.by_name["a"], model.notes) == held
    assert model.by_name["a"] is held[2]
    assert held[2] == [1]


class TakesDict(nn.Layer):
    """As every architecture of PaddleDetection."""

    def __init__(self):
        super().__init__()
        self.inputs = {}
        self.stem, self.conv = nets.conv(3), nets.conv()

    def forward(self, inputs):
        self.inputs = inputs
        return {"map": self.conv(self.stem(self.inputs["image"]))}


def test_a_network_that_keeps_its_dictionary_still_runs():
    model = TakesDict()
    data = {"image": paddle.randn([1, 3, 8, 8])}
    model(data)
    keys = list(model.state_dict())
    with pytest.warns(
        NotCheckedWarning, match=r"isn't checked, since the network runs on no usual input"
    ):
        converted = convert(model)
    assert list(model.state_dict()) == keys
    for network in (model, converted):
        assert network(data)["map"].shape == [1, 8, 8, 8]


class OneHeight(nets.HiddenAlias):
    """Holds its convolution in a closure, and takes inputs of its own kind only."""

    def forward(self, x):
        assert x.shape[2] == 48
        return super().forward(x)


def test_a_check_that_could_not_run_is_told():
    with pytest.warns(NotCheckedWarning, match=r"give input_shape=\(N, C, H, W\) for a check"):
        convert(OneHeight())
    with pytest.raises(ConversionError, match="layer 'conv': the network still runs the old"):
        convert(OneHeight(), input_shape=(1, 8, 48, 12))
