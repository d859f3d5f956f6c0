"""Outputs are renamed, and nothing else."""

import json

import pytest
from made_programs import (
    feed,
    fetch,
    older_feed,
    older_fetch,
    older_op,
    op,
    pdmodel,
    pir,
    variable,
)  # fmt: skip

from spconvify.source.programs.pdmodel import read_pdmodel
from spconvify.source.programs.pir import read_pir
from spconvify.source.programs.renaming import rename_outputs

OLDER = pdmodel(
    variable("x", [1, 3]),
    variable("y", [1, 3]),
    variable("z", [1, 3]),
    older_feed(),
    older_op("relu", {"X": ["x"]}, {"Out": ["y"]}),
    older_op("tanh", {"X": ["y"]}, {"Out": ["z"]}),
    older_fetch("z", 1),
    older_fetch("y", 0),
)
NEWER = pir(
    feed(1), op("relu", [1], [2]), op("tanh", [2], [3]), fetch(3, "z", 1), fetch(2, "y", 0)
)  # fmt: skip


@pytest.fixture(params=[".json", ".pdmodel"])
def program(request, tmp_path):
    path = tmp_path / f"net{request.param}"
    path.write_bytes(OLDER if request.param == ".pdmodel" else NEWER)
    return path


def read(path):
    return (read_pir if path.suffix == ".json" else read_pdmodel)(path.read_bytes())


def test_in_their_order(program):
    before = read(program)
    rename_outputs(program, ["scores", "save_infer_model/scale_0.tmp_0"])
    after = read(program)
    assert [fetch.name for fetch in after.fetches] == ["scores", "save_infer_model/scale_0.tmp_0"]
    assert [fetch.id for fetch in after.fetches] == [fetch.id for fetch in before.fetches]
    assert after.nodes == before.nodes
    assert [feed.name for feed in after.feeds] == ["x"]


def test_their_own_names_change_nothing(program):
    before = program.read_bytes()
    rename_outputs(program, ["y", "z"])
    after = program.read_bytes()
    assert after == before or json.loads(after) == json.loads(before)


def test_exchanged(program):
    before = read(program)
    rename_outputs(program, ["z", "y"])
    after = read(program)
    assert [fetch.name for fetch in after.fetches] == ["z", "y"]
    assert [node.op for node in after.nodes] == [node.op for node in before.nodes]
    assert [fetch.id for fetch in after.fetches] == [fetch.id for fetch in before.fetches]


def test_a_name_that_another_variable_has(tmp_path):
    """That one gets another; only of Paddle 2's programs, whose variables all have names."""
    path = tmp_path / "net.pdmodel"
    path.write_bytes(
        pdmodel(
            *(variable(name, [1, 3]) for name in ("x", "y", "t", "t.other")),
            older_feed(),
            older_op("relu", {"X": ["x"]}, {"Out": ["t"]}),
            older_op("tanh", {"X": ["t"]}, {"Out": ["t.other"]}),
            older_op("exp", {"X": ["t"]}, {"Out": ["u"]}),
            older_op("elementwise_add", {"X": ["t.other"], "Y": ["u"]}, {"Out": ["y"]}, axis=-1),
            variable("u", [1, 3]),
            older_fetch("y"),
        )
    )
    before = read(path)
    rename_outputs(path, ["t"])
    after = read(path)
    assert [(node.op, node.inputs) for node in after.nodes] == [
        (node.op, node.inputs) for node in before.nodes
    ]
    assert after.fetches[0].name == "t"


def test_another_number_of_outputs(program):
    with pytest.raises((ValueError, IndexError)):
        rename_outputs(program, ["y"])
