"""ONNX Runtime: what the converter can't do is told in its words, and not in a warning's."""

from pathlib import Path

import networks as nets
import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

import spconvify
from spconvify import EngineError, convert, fuse
from spconvify.deploy.checking import checked_error
from spconvify.engines import eager, onnx_check, onnx_converter, onnx_parts, onnxruntime
from spconvify.engines.onnx_converter import problem_in
from spconvify.engines.worker import random_values
from spconvify.errors import PlainFileWarning

onnx = pytest.importorskip("onnx")


class Erfinv(nn.Layer):
    def forward(self, x):
        return paddle.erfinv(x)


# Of a program of Paddle 3 the converter says no more than that.
UNSUPPORTED = "unsupported operators" + ".* It is among erfinv$" * (paddle.__version__ >= "3")


@pytest.mark.parametrize(
    ("network", "says"),
    [(Erfinv(), UNSUPPORTED), (nn.AdaptiveAvgPool2D(7), "FatalError")],  # which crashes it
)
def test_what_cannot_be_converted_is_named(network, says, tmp_path, monkeypatch):
    pytest.importorskip("paddle2onnx")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # Paddle warns of it: "... does not support ..."
    with pytest.raises(EngineError, match=rf"can't be written as ONNX: .*{says}") as caught:
        onnxruntime.ENGINE.write(network, tmp_path, (1, 3, 4, 4))
    assert "OMP_NUM_THREADS" not in str(caught.value)


def test_the_converters_own_line_is_found():
    said = """\x1b[0;31m2026-11-27 00:05:25 [ERROR]\tFailed to convert PaddlePaddle model: no.\x1b[0m
x.py:712: UserWarning: No ccache found. An error may follow
  warnings.warn(warning_message)
"""
    assert problem_in(said, 255) == "Failed to convert PaddlePaddle model: no."
    assert problem_in("[ERROR][Paddle2ONNX] Due to it.\n", 1) == "[Paddle2ONNX] Due to it."
    assert problem_in("OSError: full\n[I] Folding\nwarnings.warn(x)\n", 1) == "OSError: full"
    assert problem_in("  warnings.warn(warning_message)\n", -9) == "paddle2onnx ended with code -9"
    assert problem_in("one\ntwo\n", 1) == "two"
    crash = "FatalError: `Segmentation fault` is detected"
    import_of_opencv = "RuntimeError: module compiled against ABI version 0x1 but this version is 0x2"
    assert problem_in(f"{crash}\nother errors\n{import_of_opencv}\n", -11) == crash
    assert (
        problem_in(f"{import_of_opencv}\nno: it does not support 2\n", 1) == "no: it does not support 2"
    )


RESIZES = {
    "nearest": lambda x: F.interpolate(x, scale_factor=2),
    "nearest, 1.5": lambda x: F.interpolate(x, scale_factor=1.5),
    "two factors": lambda x: F.interpolate(x, scale_factor=[2, 3], mode="bilinear"),
    "corners": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    "odd": lambda x: F.interpolate(x, scale_factor=0.37, mode="bilinear"),
    "size": lambda x: F.interpolate(x, size=[19, 7], mode="bilinear"),
    "by shape": lambda x: F.interpolate(x, size=paddle.shape(x)[2:] * 2, mode="bilinear"),
    "module": nn.Upsample(scale_factor=2, mode="bilinear"),
    "older module": nn.UpsamplingBilinear2D(scale_factor=2),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "area": lambda x: F.interpolate(x, size=[4, 6], mode="area"),
    "shuffle": lambda x: F.pixel_shuffle(x, 2),
}


class Resizes(nn.Layer):
    def __init__(self, names):
        super().__init__()
        self.conv, self.names = nets.conv(3, 8), names

    def forward(self, x):
        return [RESIZES[name](F.relu(self.conv(x))) for name in self.names]


@pytest.mark.parametrize("batch", [1, -1])
def test_resizes_are_written_and_right(tmp_path, batch):
    pytest.importorskip("paddle2onnx")
    network, values = nets.trained(Resizes(RESIZES)), random_values((2 if batch < 0 else 1, 3, 12, 18))
    onnxruntime.ENGINE.write(network, tmp_path, (batch, *values.shape[1:]))
    assert [file.name for file in tmp_path.iterdir()] == [onnxruntime.FILE]
    found = onnxruntime.ENGINE.load(tmp_path, values)()
    for name, value, wanted in zip(RESIZES, found, network(paddle.to_tensor(values))):
        np.testing.assert_allclose(value, wanted.numpy(), rtol=0, atol=2e-5, err_msg=name)


def split_network():
    return nets.trained(fuse(nets.trained(convert(nn.Sequential(nets.conv(3, 64), nets.conv(64, 64))))))


def wrong_outputs(model, _):
    model.graph.initializer[0].CopyFrom(
        onnx.numpy_helper.from_array(
            onnx.numpy_helper.to_array(model.graph.initializer[0]) + 1, model.graph.initializer[0].name
        )
    )
    return 1


def not_a_graph(model, _):
    model.graph.node[-1].input[0] = "nowhere"
    return 1


def crashes(model, _):
    raise KeyError("a strange graph")


@pytest.mark.parametrize(
    ("divide", "why"),
    [(wrong_outputs, "outputs would differ"), (not_a_graph, "nowhere"), (crashes, "a strange graph")],
)
def test_a_rewritten_file_that_is_not_right_is_not_taken(tmp_path, monkeypatch, divide, why):
    pytest.importorskip("paddle2onnx")
    monkeypatch.setattr(onnx_parts, "_OPERATOR", 10**9)
    onnxruntime.ENGINE.write(split_network(), tmp_path, (-1, 3, 8, 8))
    path = tmp_path / onnxruntime.FILE
    before = path.read_bytes()
    monkeypatch.setattr(onnx_check, "divide", divide)
    assert why in onnx_check.divide_file(path, (-1, 3, 8, 8))
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_plain_file_is_said(tmp_path, monkeypatch):
    pytest.importorskip("paddle2onnx")

    def run(module, job, folder, variables):
        Path(job["target"]).touch()
        return 0, f"[I] Folding\n{onnx_converter.PLAIN}it is strange\n"

    monkeypatch.setattr("spconvify.engines.children.run", run)
    with pytest.warns(PlainFileWarning, match="Conv2D: spconvify leaves the ONNX file plain: it is"):
        onnxruntime.ENGINE.write(nets.conv(3), tmp_path, (1, 3, 8, 8))


class Improbable(nn.Layer):
    """A detector's map of probabilities where nothing is to be found: ten to the minus six and less."""

    def __init__(self):
        super().__init__()
        self.conv = nets.conv(3, 4)

    def forward(self, x):
        return F.sigmoid(3 * self.conv(x) - 20)


def test_a_sigmoid_of_so_many_digits(tmp_path):
    """ONNX Runtime's is exact to 1e-7 behind the point, whatever the numbers are."""
    pytest.importorskip("paddle2onnx")
    paddle.seed(0)
    spconvify.export(Improbable(), tmp_path / "out", (1, 3, 16, 16), "onnxruntime", tune=False)
    small = np.array([[3e-9, 2e-8]], "float32")
    near, far = [small + np.float32(1e-7)], [small + np.float32(1e-5)]
    assert checked_error({"": small}, near, engine=onnxruntime.ENGINE) == 0
    exact = {"": 0.0}  # what rounding does to it
    for expected, found, engine in (
        (small, far, onnxruntime.ENGINE),
        (small, near, eager.ENGINE),
        (-small, [-near[0]], onnxruntime.ENGINE),  # no probabilities
    ):
        with pytest.raises(EngineError, match="off by"):
            checked_error({"": expected}, found, lambda: exact, engine)


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(lambda: nn.LeakyReLU(0.3), id="leaky"),
        pytest.param(lambda: nn.GroupNorm(4, 8, epsilon=0.5), id="group norm"),
        pytest.param(lambda: nn.Pad2D([1, 2, 3, 4], value=0.5), id="pad"),
        pytest.param(nn.Softplus, id="softplus"),
        pytest.param(lambda: nn.ELU(0.7), id="elu"),
    ],
)
def test_numbers_that_paddle_3_writes_in_double_precision(tmp_path, layer):
    """The converter takes 0 for them, without a word."""
    pytest.importorskip("paddle2onnx")
    model = nn.Sequential(nn.Conv2D(3, 8, 3), layer())
    spconvify.export(model, tmp_path / "out", (1, 3, 12, 14), "onnxruntime", tune=False)
