"""Divided ONNX graphs compute the same, without the splits whose parts convolutions can make."""

import collections

import networks as nets
import numpy as np
import paddle
import pytest

from spconvify import convert, fuse
from spconvify.engines.onnxruntime import ENGINE, FILE

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

from spconvify.engines import onnx_parts  # noqa: E402


@pytest.fixture(autouse=True)
def any_size(monkeypatch):
    monkeypatch.setattr(onnx_parts, "_OPERATOR", 0)


class Builder:
    """An ONNX graph, operator by operator; tensors are names."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []

    def constant(self, values):
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, *shape):
        scale = 1.0 / np.sqrt(np.prod(shape[1:], initial=1))
        return self.constant((self.random.standard_normal(shape) * scale).astype("float32"))

    def op(self, kind, *inputs, outputs=1, **options):
        names = [f"{kind.lower()}{len(self.nodes)}.{index}" for index in range(outputs)]
        self.nodes.append(onnx.helper.make_node(kind, inputs, names, **options))
        return names[0] if outputs == 1 else names

    def conv(self, x, inputs, outputs, size=3, groups=1):
        pads, weight = [size // 2] * 4, self.weights(outputs, inputs // groups, size, size)
        y = self.op("Conv", x, weight, group=groups, kernel_shape=[size] * 2, pads=pads)
        return self.op("Identity", self.op("Add", y, self.weights(1, outputs, 1, 1)))

    def split(self, x, *sizes):
        return self.op("Split", x, self.constant(np.array(sizes)), axis=1, outputs=len(sizes))

    def spconv(self, x, inputs, outputs, groups=2):
        representative, _ = self.split(x, inputs // 2, inputs // 2)
        y = self.conv(representative, inputs // 2, outputs, groups=groups)
        return self.op("Add", self.op("Conv", x, self.weights(outputs, inputs, 1, 1)), y)

    def model(self, *outputs):
        info = onnx.helper.make_tensor_value_info
        images = [info("x", 1, ["batch", 3, 9, 11]), info("wide", 1, ["batch", 64, 9, 11])]
        results = [info(name, 1, [None] * 4) for name in outputs]
        graph = onnx.helper.make_graph(self.nodes, "graph", images, results, self.constants)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)])
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def run(model):
    random = np.random.default_rng(1)
    x, wide = (random.standard_normal((3, channels, 9, 11), "float32") for channels in (3, 64))
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # constants that are left over
    session = runtime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {"x": x, "wide": wide})


def kinds(model):
    return collections.Counter(node.op_type for node in model.graph.node)


def check(build, *outputs, gone, merged=0):
    """Divide what was built; the outputs stay the same, so many splits are gone, and so many became a
    part of another."""
    model = build.model(*outputs)
    expected, splits = run(model), kinds(model)["Split"]
    assert onnx_parts.divide(model) == gone
    onnx.checker.check_model(model)
    for value, wanted in zip(run(model), expected):
        np.testing.assert_allclose(value, wanted, rtol=0, atol=2e-6 * np.abs(wanted).max())
    assert kinds(model)["Split"] == splits - gone - merged
    return model


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_chain_has_no_split_left(groups):
    b = Builder()
    x = b.op("Relu", b.conv("x", 3, 128))
    for inputs, outputs in ((128, 128), (128, 256), (256, 128)):
        x = b.op("Relu", b.spconv(x, inputs, outputs, groups))
    check(b, b.conv(x, 128, 8), gone=3)


def test_pooling_activations_and_a_depthwise_convolution_are_divided_too():
    b = Builder()
    x = b.op("HardSwish", b.conv("x", 3, 64))
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = b.op(
        "Clip", b.conv(x, 64, 64, groups=64), b.constant(np.float32(-0.5)), b.constant(np.float32(0.5))
    )
    gate = b.op("Sigmoid", b.op("Mul", b.op("GlobalAveragePool", x), b.weights(64, 1, 1)))
    x = b.op("Sub", b.op("Mul", gate, x), b.constant(np.float32(0.25)))
    model = check(b, b.spconv(x, 64, 32), gone=1)
    assert kinds(model)["MaxPool"] == 2


def test_a_residual_stream_is_divided_as_a_whole():
    b = Builder()
    x = b.op("Relu", b.conv("x", 3, 64))
    for _ in range(2):
        y = b.op("Relu", b.spconv(x, 64, 64))
        x = b.op("Relu", b.op("Add", b.spconv(y, 64, 64), x))
    check(b, b.conv(x, 64, 8), x, gone=4)  # a divided map that is an output is whole again


def test_two_splits_of_one_map():
    b = Builder()
    x = b.op("Relu", b.conv("x", 3, 96))
    sizes = [(32, 64), (48, 16, 32)]
    parts = [(part, n) for split in sizes for part, n in zip(b.split(x, *split), split)]
    check(b, *(b.conv(part, n, 16) for part, n in parts), gone=2)


def test_what_is_given_whole_is_split_in_the_parts_that_are_needed():
    b = Builder()
    joined = b.op("Concat", b.conv("x", 3, 32), b.conv("x", 3, 32), axis=1)
    model = check(b, b.spconv(b.op("Relu", b.spconv(joined, 64, 64)), 64, 32), gone=1)
    (split,) = [node for node in model.graph.node if node.op_type == "Split"]
    assert len(split.output) == 3


def narrow(b):
    return b.spconv(b.op("Relu", b.conv("x", 3, 48)), 48, 32)  # 12 + 12 + 24


def grouped(b):
    joined = b.op("Concat", b.conv("x", 3, 32), b.conv("x", 3, 32), axis=1)
    return b.spconv(b.conv(joined, 64, 64, groups=2), 64, 32)


def mixed_channels(b):
    return b.spconv(b.op("Softmax", b.conv("x", 3, 64), axis=1), 64, 32)


def one_for_all(b):
    return b.spconv(b.op("Mul", b.conv("x", 3, 64), b.conv("x", 3, 1)), 64, 32)


def dynamic_weights(b):
    return b.spconv(b.op("Conv", "x", b.op("Relu", b.weights(64, 3, 1, 1))), 64, 32)


def given(b):
    return b.spconv(b.op("Relu", "wide"), 64, 32)


def one_for_each_place(b):
    return b.spconv(b.op("Mul", b.conv("x", 3, 64), b.weights(1, 1, 9, 11)), 64, 32)


def one_for_each_row(b):
    return b.spconv(b.op("Add", b.conv("x", 3, 64), b.weights(9, 1)), 64, 32)


@pytest.mark.parametrize(
    "make",
    [
        given,
        one_for_each_place,
        one_for_each_row,
        narrow,
        grouped,
        mixed_channels,
        one_for_all,
        dynamic_weights,
    ],
)
def test_splits_stay_where_the_parts_cannot_be_made(make):
    b = Builder()
    check(b, make(b), gone=0)


def test_a_split_of_the_input_and_of_rows_stays():
    b = Builder()
    first, rest = b.split("x", 1, 2)
    upper, _ = b.op("Split", rest, b.constant(np.array([4, 5])), axis=2, outputs=2)
    check(b, b.conv(first, 1, 16), b.conv(upper, 2, 16), gone=0)


def test_small_maps_stay(monkeypatch):
    monkeypatch.undo()
    b = Builder()
    check(b, b.spconv(b.op("Relu", b.conv("x", 3, 64)), 64, 32), gone=0)


def test_graphs_within_graphs_are_left_alone():
    b = Builder()
    x = b.spconv(b.op("Relu", b.conv("x", 3, 64)), 64, 32)
    make, info = onnx.helper.make_graph, onnx.helper.make_tensor_value_info
    branches = [
        make([onnx.helper.make_node(kind, [x], [kind])], kind, [], [info(kind, 1, [None] * 4)])
        for kind in ("Relu", "Neg")
    ]
    true = b.constant(np.array(True))
    check(b, b.op("If", true, then_branch=branches[0], else_branch=branches[1]), gone=0)


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed):
    b = Builder(seed)
    maps = [b.conv("x", 3, 64)]
    for _ in range(12):
        x, other = (maps[b.random.integers(len(maps))] for _ in range(2))
        choice = b.random.integers(7)
        if choice < 3:
            maps.append(b.op("Relu", b.spconv(x, 64, 64, groups=int(b.random.choice([1, 2])))))
        elif choice == 3:
            maps.append(b.op(str(b.random.choice(["Add", "Sub", "Mul"])), x, other))
        elif choice == 4:
            maps.append(b.op("Concat", *reversed(b.split(x, 16, 48)), axis=1))
        elif choice == 5:
            maps.append(b.op("Sigmoid", b.conv(x, 64, 64, groups=int(b.random.choice([1, 2, 64])))))
        else:
            maps.append(b.op("Mul", x, b.op("Tanh", b.op("GlobalAveragePool", other))))
    model = b.model(maps[-1], maps[-2])
    expected = run(model)
    onnx_parts.divide(model)
    for value, wanted in zip(run(model), expected):
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("fusion", ["sum", "gap"])
def test_the_written_file_is_divided(fusion, tmp_path, monkeypatch):
    monkeypatch.undo()
    network = paddle.nn.Sequential(
        nets.conv(3, 64), paddle.nn.ReLU(), nets.conv(64, 64), paddle.nn.ReLU(), nets.conv(64, 8)
    )
    network = fuse(nets.trained(convert(network, fusion=fusion)), engine="onnxruntime")
    shape = (1, 3, 96, 96)
    ENGINE.write(network, tmp_path, shape)
    model = onnx.load(tmp_path / FILE)
    assert kinds(model)["Split"] == 0
    values = np.random.default_rng(0).standard_normal(shape).astype("float32")
    found = ENGINE.load(tmp_path, values)()
    expected = network(paddle.to_tensor(values)).numpy()
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def nested(b, x, part, *sizes):
    """A split of one part of a split, as the forms "two-parts+split" have it."""
    parts = b.split(x, 64, 64)
    return parts, b.split(parts[part], *sizes)


@pytest.mark.parametrize("part", [0, 1])
def test_a_split_of_a_part_is_divided_with_its_map(part):
    b = Builder()
    x = b.op("Relu", b.conv("x", 3, 128))
    parts, inner = nested(b, x, part, 16, 48)
    again = b.split(inner[1], 16, 32)
    outputs = [b.conv(again[1], 32, 8), b.conv(inner[0], 16, 8), b.conv(parts[1 - part], 64, 8)]
    check(b, *outputs, parts[part], inner[1], x, gone=3)  # parts that are outputs, and the whole map


@pytest.mark.parametrize("part", [0, 1])
def test_a_split_of_a_part_of_what_stays_whole(part):
    b = Builder()
    parts, inner = nested(b, b.op("Concat", "wide", "wide", axis=1), part, 16, 48)
    relu = b.split(b.op("Relu", inner[1]), 16, 32)
    outputs = [b.conv(relu[0], 16, 8), b.conv(inner[0], 16, 8), b.conv(parts[1 - part], 64, 8)]
    check(b, *outputs, relu[1], gone=0, merged=1)


def test_parts_without_a_name_that_nobody_reads():
    b = Builder()
    first, _, last = b.split(b.op("Relu", b.conv("x", 3, 96)), 16, 48, 32)
    split = len(b.nodes) - 1
    clipped = b.op("Clip", last, "", b.constant(np.float32(0.5)))
    model = b.model(b.conv(first, 16, 8), b.conv(clipped, 32, 8))
    expected = run(model)
    model.graph.node[split].output[1] = ""  # which ONNX Runtime itself doesn't survive
    assert onnx_parts.divide(model) == 1
    for value, wanted in zip(run(model), expected):
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_of_nested_splits(seed):
    b = Builder(seed)
    maps = [(b.conv("x", 3, 64), 64), ("wide", 64)]
    for _ in range(14):
        x, channels = maps[b.random.integers(len(maps))]
        choice = b.random.integers(4)
        if choice == 0 and channels >= 32:
            cut = 16 * int(b.random.integers(1, channels // 16))
            maps += zip(b.split(x, cut, channels - cut), (cut, channels - cut))
        elif choice == 1:
            maps.append((b.op("Relu", x), channels))
        elif choice == 2:
            maps.append((b.conv(x, channels, 64, groups=int(b.random.choice([1, 2]))), 64))
        else:
            other, more = maps[b.random.integers(len(maps))]
            maps.append((b.op("Concat", x, other, axis=1), channels + more))
    model = b.model(*dict.fromkeys(name for name, _ in maps[-4:]))
    expected = run(model)
    onnx_parts.divide(model)
    onnx.checker.check_model(model)
    for value, wanted in zip(run(model), expected):
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
