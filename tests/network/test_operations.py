"""Every way in which a network's Python code can run an operator or take a tensor's values is seen."""

import types
from functools import partial

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from spconvify.network.entry_points import INQUIRIES, operator_name
from spconvify.network.graph import record, tensors_in
from spconvify.network.operations import watching


def seen(function, *tensors):
    """(operations, operators that were missed) of one call without gradients."""
    operations, missed = [], set()
    with paddle.no_grad(), watching(operations.append, missed):
        function(*tensors)
    return operations, missed


USES = {
    "[]": lambda x: x[:, :1],
    "[mask]": lambda x: x[x > 0],
    "[tensor]": lambda x: x[paddle.to_tensor([0])],
    "[] = ": lambda x: x.__setitem__(0, 1.0),
    "iteration": list,
    "unpacking": lambda x: [*x],
    "unbind": lambda x: x.unbind(0),
    "chunk": lambda x: x.chunk(2, 1),
    "clone": lambda x: x.clone(),
    "detach": lambda x: x.detach(),
    "data": lambda x: x.data,
    "contiguous": lambda x: x.contiguous(),
    "numpy": lambda x: x.numpy(),
    "array": np.asarray,
    "tolist": lambda x: x.tolist(),
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.sum()),
    "bool": lambda x: bool((x > 0).all()),
    "==": lambda x: x == 1,
    "!=": lambda x: x != 1,
    "<": lambda x: x < 1,
    "<=": lambda x: x <= 1,
    ">": lambda x: x > 1,
    "1 >": lambda x: 1 > x,  # noqa: SIM300
    ">=": lambda x: x >= 1,
    "//": lambda x: x // 2,
    "%": lambda x: x % 2,
    "2 **": lambda x: 2**x,
    "**": lambda x: x**2,
    "1 /": lambda x: 1 / x,
    "1 -": lambda x: 1 - x,
    "-": lambda x: -x,
    "~": lambda x: ~(x > 0),
    "abs": lambda x: x.abs(),
    "T": lambda x: x.sum([2, 3]).T,
    "astype": lambda x: x.astype("float64"),
    "cast": lambda x: x.cast("int32"),
    "reshape_": lambda x: x.reshape_([-1]),
    "add_": lambda x: x.add_(x),
    "copy_": lambda x: paddle.zeros_like(x).copy_(x, True),
    "set_value": lambda x: paddle.zeros([2, 4, 3, 3]).set_value(x),
    "fill_": lambda x: x.fill_(0.0),
    "sigmoid": F.sigmoid,
    "tanh": F.tanh,
    "gelu": F.gelu,
    "softplus": F.softplus,
    "swish": F.swish,
    "exp": paddle.exp,
    "log": paddle.log,
    "sqrt": paddle.sqrt,
    "isnan": paddle.isnan,
    "logical_not": paddle.logical_not,
    "argmax": lambda x: paddle.argmax(x, 1),
    "all": lambda x: paddle.all(x > 0),
    "roll": lambda x: paddle.roll(x, 1),
    "grid_sample": lambda x: F.grid_sample(x, paddle.zeros([2, 3, 3, 2])),
    "einsum": lambda x: paddle.einsum("nchw,nchw->nc", x, x),
    "to_tensor": paddle.to_tensor,
}


@pytest.mark.parametrize("use", USES)
def test_every_use_is_seen(use):
    x = paddle.rand([2, 4, 3, 3])
    operations, missed = seen(USES[use], x)
    assert missed == set()
    assert any(
        t is x for operation in operations for t in tensors_in((operation.args, operation.kwargs))
    )


def test_every_method_of_cpp_is_watched_or_asks_for_no_values():
    with watching(lambda operation: None):
        left = {
            key
            for key, value in vars(paddle.Tensor).items()
            if isinstance(value, types.MethodDescriptorType)
        }
    assert left <= INQUIRIES
    assert all(isinstance(vars(paddle.Tensor)[key], types.MethodDescriptorType) for key in left)
    assert isinstance(vars(paddle.Tensor)["data"], types.GetSetDescriptorType)


def test_every_operator_that_a_module_has_by_name_is_watched_and_put_back():
    modules = [paddle, F, paddle.tensor, paddle.linalg, paddle._C_ops, paddle._legacy_C_ops]
    before = [dict(vars(module)) for module in modules]
    with watching(lambda operation: None):
        for module in modules:
            left = [key for key, v in vars(module).items() if type(v) is types.BuiltinFunctionType]
            assert [key for key in left if operator_name(vars(module)[key])] == []
    for module, entries in zip(modules, before):
        changed = [key for key, value in vars(module).items() if entries.get(key) is not value]
        assert changed == []


def test_arguments_of_reflected_operators_come_in_their_order():
    a, b = paddle.rand([2, 3]), paddle.rand([2, 3])
    ((operation,), _) = seen(lambda: b.__rsub__(a))
    assert [id(t) for t in operation.args] == [id(a), id(b)]


BUILTIN = paddle._C_ops.sigmoid  # what F.sigmoid is on Paddle 3
TABLE = {"sigmoid": BUILTIN, "more": [BUILTIN]}


class OnClass(nn.Layer):
    act = BUILTIN
    other = staticmethod(BUILTIN)

    def forward(self, x):
        return self.act(x) + self.other(x)


class OnLayer(nn.Layer):
    def __init__(self):
        super().__init__()
        self.act, self.acts = BUILTIN, {"a": [BUILTIN]}

    def forward(self, x):
        return self.act(x) + self.acts["a"][0](x)


class InModule(nn.Layer):
    def forward(self, x):
        return BUILTIN(x) + TABLE["sigmoid"](x) + TABLE["more"][0](x)


@pytest.mark.parametrize("network", [OnClass, OnLayer, InModule])
def test_operators_that_layers_and_modules_hold_are_seen(network):
    model = network()
    operations, missed = seen(model, paddle.rand([2, 3]))
    assert missed == set()
    names = [operation.name for operation in operations]
    assert names.count("sigmoid") >= 2
    assert len(names) == names.count("sigmoid") + names.count("add")
    assert operator_name(BUILTIN) == "sigmoid"
    assert type(BUILTIN) is types.BuiltinFunctionType
    assert vars(model).get("act", BUILTIN) is BUILTIN
    assert vars(OnClass)["act"] is BUILTIN


class Hidden(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2D(3, 4, 3), nn.BatchNorm2D(4)
        self.act = partial(BUILTIN)

    def forward(self, x):
        y = self.conv(x)
        return self.bn(y) * self.act(y)


def test_what_runs_unseen_makes_every_tensor_a_shared_one():
    model = Hidden()
    model.eval()
    with pytest.warns(UserWarning, match=r"holds an operator where it can't be followed \(sigmoid\)"):
        graph = record(model, {"conv": model.conv}, paddle.rand([1, 3, 6, 6]))
    assert graph.missed == {"sigmoid"}
    assert graph.only_consumer(graph.outputs["conv"][0]) is None


def test_what_a_watcher_computes_is_not_reported():
    names = []

    def note(operation):
        names.append(operation.name)
        operation.result.astype("float64").numpy()

    with watching(note):
        paddle.ones([2]) + 1
    assert names == ["full", "add"]
