"""What a network returns: found in whatever holds it, by name, and the same for all who look."""

import argparse
import logging
from collections import OrderedDict, UserList, deque, namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import paddle
import pytest
from paddle import nn

import spconvify
from spconvify import ArgumentError
from spconvify.network.graph import record
from spconvify.network.operations import tensors_in
from spconvify.network.outputs import arrays, flatten

A, B = paddle.full([2, 3], 1.0), paddle.full([2, 3], 2.0)


@dataclass
class Data:
    first: Any
    second: Any


class Plain:
    def __init__(self, first, second):
        self.second, self._first = second, first
        self.me, self.net, self.log = self, nn.Linear(2, 2), logging.getLogger(__name__)


class Slotted:
    __slots__ = ("__own", "second")

    def __init__(self, first, second):
        self.__own, self.second = first, second


class Output(OrderedDict):
    """As PaddleNLP's: a dictionary that is a dataclass too."""


Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    ("result", "names"),
    [
        (A, [""]),
        ([A, B], ["0", "1"]),
        ({"b": B, "a": A}, ["a", "b"]),
        (Pair(A, B), ["0", "1"]),
        (Data(A, [B, "text"]), ["first", "second.0"]),
        (SimpleNamespace(b=B, a={"x": A}), ["a.x", "b"]),
        (argparse.Namespace(a=A), ["a"]),
        (Plain(A, Data(B, None)), ["_first", "second.first"]),
        (Slotted(A, B), ["_Slotted__own", "second"]),
        (Output(a=A, b=B), ["a", "b"]),
        (deque([A, B]), ["0", "1"]),
        (UserList([A]), ["0"]),
        ({A}, ["0"]),
        (np.array([A, B, None], dtype=object)[[0, 2]], ["0"]),
        ([3, None, "text", range(10**12), paddle.float32, nn.Linear(2, 2), print, {"a", "b"}], []),
    ],
)
def test_tensors_are_found_in_whatever_holds_them(result, names):
    assert list(flatten(result)) == names
    assert {id(tensor) for tensor in tensors_in(result)} == {id(t) for t in flatten(result).values()}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda: (tensor for tensor in (A, B)), "a generator, which can be gone through only once"),
        (lambda: Data(map(paddle.abs, [A]), A), "a map, which can be gone through only once"),
        (lambda: [iter([A])], "a list_iterator, which"),
        (lambda: {A, B}, "several tensors in a set, which has no order"),
    ],
)
def test_what_cannot_be_gone_through_again_is_refused(result, message):
    for look in (flatten, lambda value: list(tensors_in(value))):
        with pytest.raises(ArgumentError, match=message):
            look(result())


def test_what_holds_itself_ends():
    loop = [A]
    loop.append(loop)
    assert list(flatten(loop)) == ["0"]


@pytest.mark.parametrize(
    ("dtype", "found"),
    [("uint16", "int32"), ("uint64", "int64"), ("float16", "float16"), ("longdouble", "float64"),
     ("bool", "bool"), ("complex64", "complex64"), ("float64", "float64")],
)  # fmt: skip
def test_arrays_of_numpy_are_tensors(dtype, found):
    values = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = flatten({"a": values})["a"]
    assert isinstance(tensor, paddle.Tensor)
    assert str(tensor.dtype).endswith(found)
    np.testing.assert_array_equal(arrays(values)[""], values)
    assert arrays([np.float32(2.5), np.array(["text"])]) == {"0": 2.5}


class Net(nn.Layer):
    """A convolution and its BatchNorm; `pack` makes of the maps before and after what it returns."""

    def __init__(self, pack):
        super().__init__()
        self.a, self.norm, self.pack = nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm2D(8), pack
        self.norm._mean.set_value(np.linspace(-3, 3, 8).astype("float32"))
        self.eval()

    def forward(self, x):
        maps = self.a(x)
        return self.pack(maps, self.norm(maps))


@pytest.mark.parametrize("kind", [Data, Plain, Slotted, lambda a, b: SimpleNamespace(a=a, b=b)])
def test_a_map_that_an_object_holds_is_returned_and_not_folded_away(kind):
    net, x = Net(kind), paddle.randn([2, 3, 8, 8])
    graph = record(net, {"a": net.a}, x)
    assert graph.only_consumer(graph.outputs["a"][0]) is None
    fused = spconvify.fuse(net)
    for old, new in zip(arrays(net(x)).values(), arrays(fused(x)).values()):
        np.testing.assert_allclose(new, old, atol=1e-4)


def test_a_network_that_returns_a_generator_is_refused():
    net = Net(lambda a, b: (maps for maps in (a, b)))
    with pytest.raises(ArgumentError, match=r"the network returns a generator.*return a list"):
        spconvify.fuse(net)


class Numpy(nn.Layer):
    """Gives arrays of NumPy too, as after a step behind the network."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        y = self.b(nn.functional.relu(self.a(x)))
        return y, y.argmax(1).numpy(), y.mean([2, 3]).numpy()


def test_networks_that_return_arrays_are_fused_fitted_and_trained(capsys):
    net = Numpy()
    net.eval()
    x = np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype("float32")
    spconvify.fuse(net)
    fitted = spconvify.convert(net, 0.9, fusion="sum", init="lstsq", calibration=[x])
    spconvify.recover(fitted, net, x, steps=1, batch_size=4, progress=False)
    said = capsys.readouterr().err
    assert "output '1' is left out of the loss: it is of int64" in said
    assert "output '2' is left out of the loss: no trainable parameter" in said
