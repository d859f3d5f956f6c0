"""Exported programs whose dtypes, sizes or operators are unusual: read right, or refused with why."""

import json

import numpy as np
import paddle
import pytest
from exported_networks import Indices, Padded, Recurrent, Rounding, Shared, write
from networks import NORMS_OF_OWN_STATISTICS
from paddle import nn

import spconvify
from spconvify import ArgumentError, CheckpointError
from spconvify.source.programs import table

ON_PADDLE_3 = pytest.mark.skipif(paddle.__version__.startswith("2."), reason="Paddle 2 writes no .json")


@pytest.mark.parametrize("kind", [Indices, Rounding])
def test_outputs_keep_their_dtypes_and_sizes(tmp_path, kind):
    model = kind()
    loaded = spconvify.load(write(model, tmp_path / "net", (-1, 4, 12, 14)))
    x = paddle.randn([2, 4, 12, 14])
    for found, expected in zip(loaded(x), model(x)):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_an_output_of_another_dtype_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(
        table.FUNCTIONS, "argmax", lambda n: (paddle.argmax, [n.x(), None if n["flatten"] else 1], {})
    )
    with pytest.raises(CheckpointError, match="gives int64 for int32"):
        spconvify.load(write(Indices(), tmp_path / "net", (-1, 4, 12, 14)))


def test_an_operator_that_cannot_be_a_layer_is_no_damage(tmp_path):
    with pytest.raises(CheckpointError, match=r"operators? .*rnn.*give the network's checkpoint"):
        spconvify.load(write(Recurrent(), tmp_path / "net", (-1, 4, 12, 14)))


@pytest.mark.parametrize("norm", NORMS_OF_OWN_STATISTICS)
def test_batch_norms_of_own_statistics_are_refused(tmp_path, norm):
    """Paddle's predictor heeds them or not, as it finds a convolution before them or not."""
    model = nn.Sequential(nn.Conv2D(4, 4, 3), NORMS_OF_OWN_STATISTICS[norm](4))
    with pytest.raises(CheckpointError, match="batch_norm that normalises by each batch's own"):
        spconvify.load(write(model, tmp_path / "net", (-1, 4, 12, 14)))


def changed(program, change):
    """The .json with every operator changed."""
    content = json.loads(program.read_text("utf-8"))
    for operator in content["program"]["regions"][0]["blocks"][0]["ops"]:
        change(operator)
    program.write_text(json.dumps(content), "utf-8")
    return program


@ON_PADDLE_3
def test_an_input_larger_than_memory_is_refused(tmp_path):
    def enlarge(operator):
        if operator["#"] in ("1.data", "1.feed"):
            operator["O"][0]["TT"]["D"][1] = [-1, 4, 200000, 200000]

    with pytest.raises(CheckpointError, match=r"an input of the shape \[1, 4, 200000, 200000\]"):
        spconvify.load(changed(write(Shared(), tmp_path / "net"), enlarge))


@ON_PADDLE_3
def test_the_names_of_operators_steer_no_terminal(tmp_path):
    def rename(operator):
        if "batch_norm" in operator["#"]:
            operator["#"] = "1.\x1b[31mred\nError: forged"

    with pytest.raises(CheckpointError) as caught:
        spconvify.load(changed(write(Shared(), tmp_path / "net"), rename))
    assert str(caught.value).isprintable()


def test_more_inputs_than_the_program_has(tmp_path):
    loaded = spconvify.load(write(Shared(), tmp_path / "net"))
    x = paddle.randn([1, 4, 8, 8])
    with pytest.raises(TypeError, match="takes 1 input, and got 2"):
        loaded(x, x)


@ON_PADDLE_3
def test_a_constant_of_a_dtype_that_is_none(tmp_path):
    def rename(operator):
        for attribute in operator.get("A", []) if operator["#"] == "1.full_int_array" else []:
            if attribute["N"] == "dtype":
                attribute["AT"]["D"] = "int999"

    with pytest.raises(CheckpointError, match="a constant of the dtype int999"):
        spconvify.load(changed(write(Shared(), tmp_path / "net"), rename))


def test_a_row_that_stands_for_padding_is_zeros(tmp_path):
    """The numbers that a network is compared on hold no such index."""
    paddle.seed(0)
    model = Padded()
    loaded = spconvify.load(write(model, tmp_path / "net", (-1, 5), "int64"))
    ids = paddle.to_tensor([[7, 7, 1, 0, 7]])
    found = loaded(ids)
    np.testing.assert_allclose(found.numpy(), model(ids).numpy(), rtol=1e-6)
    assert not found[:, 0].any()


class Stereo(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.first, self.second = paddle.nn.Conv2D(3, 8, 3), paddle.nn.Conv2D(8, 8, 3)

    def body(self, x):
        return self.second(paddle.nn.functional.relu(self.first(x))).mean([2, 3])

    def forward(self, left, right):
        return self.body(left) - self.body(right)


def test_no_noise_stands_in_another_pictures_place(tmp_path):
    specs = [paddle.static.InputSpec([-1, 3, 12, 12], "float32", name) for name in ("left", "right")]
    paddle.jit.save(Stereo(), str(tmp_path / "net"), input_spec=specs)
    network = spconvify.load(tmp_path)
    left, right = np.random.default_rng(0).standard_normal((2, 8, 3, 12, 12)).astype("float32")
    alike = "pictures could go to 'left' and 'right' alike"
    with pytest.raises(ArgumentError, match=alike):
        spconvify.slim(network, fusion="sum", calibration=[left])
    with pytest.raises(ArgumentError, match=alike):
        network(paddle.to_tensor(left))
    slim = spconvify.convert(network, fusion="sum", init="lstsq", calibration=[(left, right)])
    with pytest.raises(ArgumentError, match=alike):
        spconvify.recover(slim, network, left, steps=1, batch_size=4)
    taught = []

    def loss(own, other):
        taught.append(other.numpy())
        return paddle.nn.functional.mse_loss(own, other)

    spconvify.recover(slim, network, [(left, right)], steps=1, loss=loss)
    expected = network(*map(paddle.to_tensor, (left, right))).numpy()
    assert any(np.allclose(outputs, expected, atol=1e-6) for outputs in taught if len(outputs) == 8)
