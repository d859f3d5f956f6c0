"""Layers have the names that they had, and none that a layer can't have."""

import pickle
import time

import numpy as np
import pytest
from made_programs import feed, fetch, floats, op, parameter, pir, put
from paddle import nn

from spconvify.source.programs.architecture import ProgramArchitecture
from spconvify.source.programs.names import structured_names
from spconvify.source.programs.naming import Names
from spconvify.source.programs.program import Program

ODD = (
    "", ".", "..", "a..b", ".a", "a.", "__class__.weight", "forward.weight", "training", "steps.w",
    "_sub_layers.x", "_parameters", "weight", "state_dict.weight", "a/b.weight", "\x00.w", "\x1b[31m.w",
    "0.weight", "x" * 5000, ".".join("a" * 5000), "ü\n.w", "feeds", "find.find.find", " ", "self.w",
)  # fmt: skip


def network_of(folder, name, structured=None):
    """A product and a loose parameter of these names."""
    program = pir(
        parameter(1, name, (3, 3)),
        parameter(2, f"{name}~", (3,)),
        feed(3, (1, 3)),
        op("matmul", [3, 1], [(4, [1, 3])], transpose_x=False, transpose_y=False),
        op("multiply", [4, 2], [(5, [1, 3])]),
        fetch(5),
    )
    files = put(folder, program, {name: floats(3, 3), f"{name}~": floats(3)})
    if structured is not None:
        names = {name: {"structured_name": structured}, f"{name}~": {"structured_name": structured}}
        files.names.write_bytes(pickle.dumps(names, 2))
    return ProgramArchitecture(files).build(lazy=True)


def check(network):
    x = np.ones((1, 3), "float32")
    expected = x @ floats(3, 3) * floats(3)
    np.testing.assert_allclose(network(spconvify_tensor(x)).numpy(), expected, rtol=1e-5)
    assert len(network.state_dict()) == len(network.parameters()) == 2
    assert all(len(name.split(".")) <= 33 for name in network.state_dict())


def spconvify_tensor(array):
    import paddle

    return paddle.to_tensor(array)


@pytest.mark.parametrize("name", ODD)
def test_odd_names_of_parameters(tmp_path, name):
    check(network_of(tmp_path, name))


@pytest.mark.parametrize("structured", [*ODD, 5, None, ["a"]])
def test_odd_names_in_the_network(tmp_path, structured):
    check(network_of(tmp_path, "linear_0.w_0", structured))


def test_the_names_that_they_had(tmp_path):
    network = network_of(tmp_path, "linear_0.w_0", "backbone.fc.weight")
    (name,) = (name for name, layer in network.named_sublayers() if isinstance(layer, nn.Linear))
    assert name == "backbone.fc"


def test_a_name_that_is_taken():
    network = nn.Layer()
    names = Names(network, Program(parameters={str(i): "a.w" for i in range(4)}), {})
    placed = [names.place_layer(nn.Linear(1, 1), str(i), "linear") for i in range(4)]
    assert placed == ["a", "a_", "a_2", "a_3"]
    assert list(dict(network.named_sublayers())) == placed


def test_thousands_of_one_name_take_no_time():
    count = 20_000
    names = Names(nn.Layer(), Program(parameters={str(i): "a.w" for i in range(count)}), {})
    layer, start = nn.Layer(), time.process_time()
    placed = {names.place_layer(layer, str(i), "linear") for i in range(count)}
    assert len(placed) == count
    assert time.process_time() - start < 10


@pytest.mark.parametrize("content", [b"", b"\x80", pickle.dumps([1], 2), pickle.dumps({"a": 5}, 2)])
def test_names_that_cannot_be_read_are_none(tmp_path, content):
    (tmp_path / "p.info").write_bytes(content)
    assert structured_names(tmp_path / "p.info") == {}
    assert structured_names(tmp_path / "nothing") == {}


def test_nothing_in_them_is_run(tmp_path):
    canary = tmp_path / "canary"

    class Hostile:
        def __reduce__(self):
            return (open, (str(canary), "w"))

    (tmp_path / "p.info").write_bytes(pickle.dumps({"a": Hostile()}, 2))
    assert structured_names(tmp_path / "p.info") == {}
    assert not canary.exists()
