"""Programs of Paddle 2, made by hand."""

import numpy as np
import paddle
import pytest
from made_programs import (
    floats,
    older_feed,
    older_fetch,
    older_op,
    pdmodel,
    put,
    variable,
)  # fmt: skip

from spconvify.errors import CheckpointError
from spconvify.source.programs import pdmodel as pdmodel_module
from spconvify.source.programs.architecture import ProgramArchitecture
from spconvify.source.programs.older_constants import with_paddle_2s
from spconvify.source.programs.pdmodel import read_pdmodel
from spconvify.source.programs.reading import read_program
from spconvify.source.programs.wire import decode, encode


def network_of(folder, *parts, state=None):
    return ProgramArchitecture(put(folder, pdmodel(*parts), state, ".pdmodel")).build(lazy=True)


def program_of(kind, inputs, outputs, variables=(), **attrs):
    return pdmodel(
        variable("x", [-1, 3, 4]),
        *variables,
        older_feed(),
        older_op(kind, {"X": ["x"], **inputs}, outputs, **attrs),
        older_fetch(),
    )


@pytest.mark.parametrize(
    ("shape", "axis", "aligned"),
    [
        ((3,), 1, (3, 1)),
        ((3, 4), 1, (3, 4)),
        ((4,), -1, (4,)),
        ((2, 3), 0, (2, 3, 1)),
        ((1,), 0, (1, 1, 1)),
    ],
)
def test_the_axis_of_elementwise_operators(tmp_path, shape, axis, aligned):
    network = network_of(
        tmp_path,
        variable("x", [-1, 3, 4]),
        variable("w", shape, persistable=True),
        older_feed(),
        older_op("elementwise_mul", {"X": ["x"], "Y": ["w"]}, {"Out": ["y"]}, axis=axis),
        older_fetch(),
        state={"w": floats(*shape)},
    )
    x = floats(2, 3, 4)
    found = network(paddle.to_tensor(x)).numpy()
    np.testing.assert_allclose(found, x * floats(*shape).reshape(aligned), rtol=1e-6)


@pytest.mark.parametrize(("reduce_all", "axes"), [(True, (0, 1, 2)), (False, (1,))])
@pytest.mark.parametrize(("kind", "function"), [("reduce_mean", np.mean), ("reduce_sum", np.sum)])
def test_all_axes(tmp_path, kind, function, reduce_all, axes):
    settings = {"dim": [1], "keep_dim": False, "reduce_all": reduce_all, "out_dtype": -1}
    network = network_of(
        tmp_path,
        variable("x", [-1, 3, 4]),
        older_feed(),
        older_op(kind, {"X": ["x"]}, {"Out": ["y"]}, **settings),
        older_fetch(),
    )
    x = floats(2, 3, 4)
    found = network(paddle.to_tensor(x)).numpy()
    np.testing.assert_allclose(found, function(x, axis=axes), rtol=1e-5)


def test_a_name_that_is_written_twice(tmp_path):
    scale = {"bias": 1.0, "bias_after_scale": True}
    network = network_of(
        tmp_path,
        variable("x", [-1, 3]),
        variable("y", [-1, 3]),
        older_feed(),
        older_op("scale", {"X": ["x"]}, {"Out": ["y"]}, scale=2.0, **scale),
        older_op("scale", {"X": ["y"]}, {"Out": ["y"]}, scale=3.0, **scale),
        older_op("scale", {"X": ["y"]}, {"Out": ["x"]}, scale=1.0, **scale),
        older_fetch("x"),
    )
    np.testing.assert_array_equal(network(paddle.ones([1, 3])).numpy(), [[11, 11, 11]])


def test_constants(tmp_path):
    network = network_of(
        tmp_path,
        variable("x", [-1, 2]),
        variable("c", [2]),
        variable("d", [2]),
        older_feed(),
        older_op("fill_constant", {}, {"Out": ["c"]}, dtype=5, shape=[2], value=1.0, str_value="2.5"),
        older_op("assign_value", {}, {"Out": ["d"]}, dtype=5, shape=[2], fp32_values=[1.5, -2.0]),
        older_op("elementwise_add", {"X": ["x"], "Y": ["c"]}, {"Out": ["z"]}, axis=-1),
        older_op("elementwise_add", {"X": ["z"], "Y": ["d"]}, {"Out": ["y"]}, axis=-1),
        variable("z", [-1, 2]),
        older_fetch(),
    )
    np.testing.assert_array_equal(network(paddle.zeros([1, 2])).numpy(), [[4.0, 0.5]])


@pytest.mark.parametrize(
    ("code", "scalars", "expected"),
    [
        (5, [{"kind": 3, "r": 1.5}, {"kind": 3, "r": -0.0}], np.array([1.5, -0.0], "float32")),
        (6, [{"kind": 3, "r": 0.1}, {"kind": 3, "r": 1e300}], np.array([0.1, 1e300])),
        (3, [{"kind": 2, "i": -7}, {"kind": 2, "i": 1 << 40}], np.array([-7, 1 << 40])),
        (2, [{"kind": 2, "i": -7}, {"kind": 2, "i": 9}], np.array([-7, 9], "int32")),
        (0, [{"kind": 1, "b": True}, {"kind": 1, "b": False}], np.array([True, False])),
    ],
)
def test_constants_of_paddle_3(code, scalars, expected):
    """Read as they are; written for Paddle 2 too they stand there twice."""
    data = pdmodel(
        variable("x", [-1, 2]),
        variable("d", [2]),
        older_feed(),
        older_op("assign_value", {}, {"Out": ["d"]}, dtype=code, shape=[2], values=scalars),
        older_fetch("d"),
    )
    for content in (data, with_paddle_2s(data)):
        (node,) = read_pdmodel(content).nodes
        assert node.attrs["value"].dtype == expected.dtype
        np.testing.assert_array_equal(node.attrs["value"], expected)
    both = with_paddle_2s(data)
    assert b"_values" in both
    without = both.replace(b"\x06values", b"\x06others")  # as Paddle 2 sees it
    np.testing.assert_array_equal(read_pdmodel(without).nodes[0].attrs["value"], expected)
    assert with_paddle_2s(GOOD) == GOOD


LARGE = older_op("fill_constant", {}, {"Out": ["c"]}, dtype=5, shape=[1 << 23], value=0.0)
SCALE = {"scale": 1.0, "bias": 0.0, "bias_after_scale": True}
GOOD = program_of("scale", {}, {"Out": ["y"]}, **SCALE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00", "damaged|no exported program"),
        (b"\x0a\x00", "no exported program, or an empty one"),
        (b"hello, this is text" * 9, "damaged|wire type"),
        (GOOD[: len(GOOD) // 2], "behind its message|damaged"),
        (GOOD + GOOD, r"control flow \(several blocks\)"),
        (program_of("while", {}, {"Out": ["y"]}), r"control flow \(while\)"),
        (program_of("run_a_program", {}, {"Out": ["y"]}), "the operator run_a_program"),
        (program_of("\x1b[31m", {}, {"Out": ["y"]}), r"the operator \\x1b"),
        (program_of("relu", {"X": ["z"]}, {"Out": ["y"]}), "isn't there"),
        (pdmodel(variable("x", [3]), older_feed()), "nothing, or nothing known"),
        (pdmodel(variable("x", [1 << 40]), older_feed(), older_fetch("x")), "an input of the shape"),
        (pdmodel(variable("x", [3]), older_feed("z"), older_fetch("z")), "KeyError"),
        (
            pdmodel(
                variable("x", [3]), older_feed(), older_fetch("x"),
                *[LARGE] * 3,
            ),
            "constants of more than",
        ),
        (
            pdmodel(
                variable("x", [3]), older_feed(), older_fetch("x"),
                older_op("assign_value", {}, {"Out": ["c"]}, dtype=5, shape=[1 << 30]),
            ),
            "a constant of the shape",
        ),
        (
            pdmodel(
                variable("x", [3]), older_feed(), older_fetch("x"),
                older_op("assign_value", {}, {"Out": ["c"]}, dtype=5, shape=[2]),
            ),
            r"a constant of shape \[2\] with 0 values",
        ),
        (
            pdmodel(
                variable("x", [3]), older_feed(), older_fetch("x"),
                older_op("assign_value", {}, {"Out": ["c"]}, dtype=5, shape=[1], values=[{"kind": 4}]),
            ),
            "a constant of complex numbers",
        ),
        (encode([(1, 2, encode([(4, 2, b"")] * 3))]), "KeyError"),
    ],
)  # fmt: skip
def test_damaged(tmp_path, content, message):
    files = put(tmp_path, content, suffix=".pdmodel")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_program(files)
    assert str(files.program) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "attrs"),
    [
        ("leaky_relu", {"alpha": 0.1}),
        ("softmax", {"axis": 1}),
        ("transpose2", {"axis": [0, 2, 1]}),
        ("reduce_mean", {"dim": [1], "keep_dim": True, "reduce_all": False}),
        ("scale", SCALE),
        ("flatten_contiguous_range", {"start_axis": 1, "stop_axis": 2}),
    ],
)
def test_a_missing_attribute_is_no_default(tmp_path, kind, attrs):
    for missing in [None, *attrs]:
        given = {key: item for key, item in attrs.items() if key != missing}
        files = put(tmp_path, program_of(kind, {}, {"Out": ["y"]}, **given), suffix=".pdmodel")
        if missing in (None, "reduce_all"):  # which older versions don't have
            assert ProgramArchitecture(files).build(lazy=True)
        else:
            with pytest.raises(CheckpointError, match=r"form that isn't known|damaged"):
                ProgramArchitecture(files).build(lazy=True)


@pytest.mark.parametrize("dtype", [None, -1, 2, 5])
def test_a_range_of_the_dtype_of_its_numbers(tmp_path, dtype):
    """Older files don't name it, and -1 leaves it open."""
    code, values, name = (5, "fp32_values", "float32") if dtype == 5 else (2, "int32_values", "int32")
    numbers = [(slot, number) for slot, number in zip(("Start", "End", "Step"), (1, 7, 2))]
    cast = float if code == 5 else int
    network = network_of(
        tmp_path,
        variable("x", [-1, 3]),
        *(variable(slot, [1], name) for slot, _ in numbers),
        older_feed(),
        *(
            older_op("assign_value", {}, {"Out": [slot]}, dtype=code, shape=[1], **{values: [cast(n)]})
            for slot, n in numbers
        ),
        older_op(
            "range",
            {slot: [slot] for slot, _ in numbers},
            {"Out": ["y"]},
            **({} if dtype is None else {"dtype": dtype}),
        ),
        older_fetch(),
    )
    found = network(paddle.zeros([1, 3])).numpy()
    assert str(found.dtype) == name
    np.testing.assert_array_equal(found, [1, 3, 5])


def test_an_older_name_of_an_attribute():
    (node,) = read_pdmodel(program_of("leaky_relu", {}, {"Out": ["y"]}, alpha=0.25)).nodes
    assert (node.op, node.attrs) == ("leaky_relu", {"negative_slope": 0.25})


def test_only_the_first_block_is_looked_into(monkeypatch):
    """Others are control flow, whatever is in them: thousands of them take no time."""
    decoded = []
    monkeypatch.setattr(
        pdmodel_module, "decode", lambda data, schema: decoded.append(data) or decode(data, schema)
    )
    with pytest.raises(CheckpointError, match="several blocks"):
        read_pdmodel(GOOD * 1000)
    assert len(decoded) == 1


@pytest.mark.parametrize("attrs", [{}, {"threshold": 6.0}, {"threshold": 20.0}])
def test_a_relu6_of_another_bound_is_refused(tmp_path, attrs):
    """The numbers that a network is compared on seldom reach it."""
    parts = [variable("x", [-1, 4]), older_feed()]
    parts += [older_op("relu6", {"X": ["x"]}, {"Out": ["y"]}, **attrs), older_fetch()]
    if attrs.get("threshold") == 20:
        with pytest.raises(CheckpointError, match="a relu6 that ends at 20"):
            network_of(tmp_path, *parts)
        return
    found = network_of(tmp_path, *parts)(paddle.to_tensor([[-1.0, 5.0, 7.0, 30.0]]))
    assert found.tolist() == [[0.0, 5.0, 6.0, 6.0]]
