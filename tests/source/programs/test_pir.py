"""Programs of Paddle 3, made by hand."""

import json
import math

import pytest
from made_programs import feed, fetch, floats, full, numbers, op, parameter, pir, put

from spconvify.errors import CheckpointError
from spconvify.source.programs.architecture import ProgramArchitecture
from spconvify.source.programs.pir import read_pir
from spconvify.source.programs.reading import read_program


@pytest.mark.parametrize("word", ["Infinity", "-inf", "NaN", "inf"])
def test_numbers_that_json_has_no_way_to_write(word):
    program = read_pir(pir(feed(1), full(2, {"#": "0.a_f32", "VD": word}), fetch(1)))
    found = program.nodes[0].attrs["value"]
    assert found == float(word) or (math.isnan(found) and word == "NaN")


def test_lists_are_followed_to_their_elements():
    program = read_pir(
        pir(
            feed(1), feed(2, name="z"),
            op("0.combine", [1, 2], [3]),
            op("concat", [3, 2], [(4, [2])]),
            op("split", [4, 2, 2], [5]),
            op("0.slice", [5], [7], index=1),
            op("0.split", [5], [8, 9, 10]),
            op("0.slice", [3], [11], index=0),
            op("add", [7, 9], [(12, [1])]),
            op("add", [12, 11], [(13, [1])]),
            fetch(13),
        )
    )  # fmt: skip
    by_op = {node.op: node for node in program.nodes}
    assert by_op["concat"].inputs[0] == ["1", "2"]
    parts = by_op["split"].parts
    assert sorted(parts) == [0, 1, 2]
    first, second = (node for node in program.nodes if node.op == "add")
    assert first.inputs == [parts[1], parts[1]]
    assert second.inputs == ["12", "1"]


def test_a_shared_norm_takes_the_statistics_that_it_was_given():
    norm = {"momentum": 0.9, "epsilon": 1e-5, "data_layout": "NCHW", "is_test": True}
    program = read_pir(
        pir(
            *(parameter(i, name, (3,)) for i, name in enumerate("mvwb", 1)),
            feed(5),
            op("batch_norm_", [5, 1, 2, 3, 4], [(6, [1]), 7, 8, 9, 10, 11], **norm),
            op("batch_norm_", [6, 7, 8, 3, 4], [(12, [1]), 13, 14, 15, 16, 17], **norm),
            op("batch_norm_", [12, 13, 14, 3, 4], [(18, [1]), 19, 20, 21, 22, 23], **norm),
            fetch(18),
        )
    )
    assert [node.inputs[1:3] for node in program.nodes] == [["1", "2"]] * 3


def test_an_input_that_is_not_given():
    assert read_pir(pir(feed(1), op("add", [1, 0], [2]), fetch(2))).nodes[0].inputs == ["1", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{}", "no exported program"),
        (b"[]", "no exported program"),
        (b'{"a": 1', "damaged or truncated"),
        (b"\xff\xfe", "damaged"),
        (b"[" * 100_000 + b"]" * 100_000, "damaged"),
        (b'{"a": ' * 100_000, "damaged"),
        (b'{"a": ' + b"9" * 1_000_000 + b"}", "a number of 1000000 digits"),
        (b"[[],[" + b"[]," * (1 << 21) + b"[]]]", "more than 2097152 parts"),
        (pir(), "no|nothing|inputs"),
        (pir(feed(1)), "nothing, or nothing known"),
        (pir(fetch(1)), "inputs"),
        (pir(feed(1), op("relu", [9], [2]), fetch(2)), "what its operator relu takes isn't there"),
        (pir(feed(1), op("relu", [2], [2]), fetch(2)), "what its operator relu takes isn't there"),
        (pir(feed(1), op("0.slice", [1], [2], index=0), fetch(1)), "damaged"),
        (
            pir(feed(1), op("unbind", [1], [2], axis=0), op("0.slice", [2], [3], index=10**9), fetch(3)),
            "element 1000000000",
        ),
        (pir(feed(1), feed(2), fetch(1)), "twice the same"),
        (pir(*(feed(i, name=str(i)) for i in range(1, 10)), fetch(1)), "9 inputs"),
        (pir(feed(1, (10**6, 10**6)), fetch(1)), "it holds an input of the shape"),
        (pir(feed(1, (-2, 3)), fetch(1)), "a shape that no tensor has"),
        (pir(feed(1, [1] * 50), fetch(1)), "a shape that no tensor has"),
        (pir(feed(1, dtype="bfloat16"), fetch(1)), "an input in bfloat16"),
        (pir(feed(1), {"#": "1.if", "regions": []}), r"control flow \(if\)"),
        (pir(feed(1), op("0.other", [1], [2]), fetch(2)), "the operator 0.other"),
        (pir(feed(1), fetch(1, name=["y"])), "nothing, or nothing known"),
    ],
)
def test_damaged(tmp_path, content, message):
    files = put(tmp_path, content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read_program(files)
    assert str(files.program) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "operators",
    [
        [full(2, 1.0, (10**6, 10**6))],
        [full(2, 1.0, [-1])],
        [full(2, 1.0, [True])],
        [full(2, 1.0, [1e9])],
        [full(2 + n, 1.0, (1 << 23,)) for n in range(3)],  # each is small enough
        [op("assign_value", [], [2], shape=[10**9], values=[1.0], dtype="float32")],
    ],
)
def test_constants_that_no_network_has(tmp_path, operators):
    files = put(tmp_path, pir(feed(1), *operators, fetch(1)))
    with pytest.raises(CheckpointError, match=r"can't read .*it holds (a )?constant"):
        ProgramArchitecture(files).build(lazy=True)


def test_lists_that_grow_without_end(tmp_path):
    doubled = [op("0.combine", [k - 1, k - 1], [k]) for k in range(2, 60)]
    with pytest.raises(CheckpointError, match="lists of lists"):
        read_pir(pir(feed(1), *doubled, op("add_n", [59], [60]), fetch(60)))
    several = [op("add_n", [2], [3 + k]) for k in range(3000)]
    program = pir(feed(1), op("0.combine", [1] * 1000, [2]), *several, fetch(3))
    with pytest.raises(CheckpointError, match="take more than 2097152 tensors"):
        read_program(put(tmp_path, program))


@pytest.mark.parametrize("dtype", ["O", "U100000", "V8", "__class__", "", "M8[s]"])
def test_constants_of_no_numbers(tmp_path, dtype):
    files = put(tmp_path, pir(feed(1), full(2, 1.0, dtype=dtype), op("add", [1, 2], [3]), fetch(3)))
    if dtype:
        with pytest.raises(CheckpointError, match="has a constant of the dtype"):
            ProgramArchitecture(files).build(lazy=True)
    else:
        assert ProgramArchitecture(files).build(lazy=True)


def test_a_tensor_in_the_place_of_a_list(tmp_path):
    files = put(tmp_path, pir(feed(1), full(2, 1, (2000,), "int64"), op("tile", [1, 2], [3]), fetch(3)))
    with pytest.raises(CheckpointError, match="a list of 2000 numbers"):
        ProgramArchitecture(files).build(lazy=True)


def test_a_norm_larger_than_its_parameters(tmp_path):
    """The shape of its input is what the program says: nobody has compared it with anything."""
    program = pir(
        parameter(1, "w", (4,)),
        feed(2, (1, 4)),
        op("add", [2, 2], [(3, [1, 1 << 30])]),
        op("layer_norm", [3, 1, 0], [(4, [1, 4]), 5, 6], epsilon=1e-5, begin_norm_axis=1),
        fetch(4),
    )
    with pytest.raises(CheckpointError, match="a parameter of another size"):
        ProgramArchitecture(put(tmp_path, program, {"w": floats(4)})).build(lazy=True)


def test_parameters_of_another_shape(tmp_path):
    program = pir(parameter(1, "w", (4,)), feed(2, (1, 4)), op("add", [2, 1], [3]), fetch(3))
    with pytest.raises(CheckpointError, match=r"'w' has the shape \[5\] .* and \[4\] in the program"):
        read_program(put(tmp_path, program, {"w": floats(5)}))


_ATTRIBUTES = {
    "leaky_relu": {"negative_slope": 0.1},
    "gelu": {"approximate": False},
    "transpose": {"perm": [0, 2, 3, 1]},
    "flatten": {"start_axis": 1, "stop_axis": 2},
    "softmax": {"axis": 1},
    "mean": {"axis": [2, 3], "keepdim": False},
    "cast": {"dtype": "float32"},
    "pool2d": {
        "strides": [2, 2], "paddings": [0, 0], "ceil_mode": False, "exclusive": True,
        "pooling_type": "avg", "global_pooling": False, "adaptive": False,
        "padding_algorithm": "EXPLICIT",
    },
    "conv2d": {
        "strides": [1, 1], "paddings": [0, 0], "padding_algorithm": "EXPLICIT", "dilations": [1, 1],
        "groups": 1,
    },
    "batch_norm_": {"momentum": 0.9, "epsilon": 1e-5},
}  # fmt: skip
_FURTHER = {"pool2d": [8], "conv2d": [9], "batch_norm_": [2, 3, 4, 5]}


@pytest.mark.parametrize(
    ("name", "missing"), [(name, key) for name, attrs in _ATTRIBUTES.items() for key in [None, *attrs]]
)
def test_a_missing_attribute_is_no_default(tmp_path, name, missing):
    """In another version of Paddle it may have become an input, or be called something else."""
    attrs = {key: item for key, item in _ATTRIBUTES[name].items() if key != missing}
    program = pir(
        *(parameter(id_, f"p{id_}", (3,)) for id_ in (2, 3, 4, 5)),
        parameter(9, "w", (3, 3, 1, 1)),
        feed(1),
        numbers(8, 2, 2),
        op(name, [1, *_FURTHER.get(name, [])], [(10, [1]), 11, 12], **attrs),
        fetch(10),
    )
    state = {**{f"p{id_}": floats(3) for id_ in (2, 3, 4, 5)}, "w": floats(3, 3, 1, 1)}
    architecture = ProgramArchitecture(put(tmp_path, program, state))
    if missing is None:
        assert architecture.build(lazy=True)
    else:
        known = "isn't there|a list of|of a form that isn't known|form"
        with pytest.raises(CheckpointError, match=known):
            architecture.build(lazy=True)


def test_real_json_is_read_as_the_standard_library_does():
    content = pir(feed(1), numbers(2, 1, -1, 2**40), fetch(1))
    assert json.loads(content)["program"]
    assert read_pir(content).nodes[0].attrs["value"] == [1, -1, 2**40]
