"""Programs of Paddle 2's representation, written by Paddle 3: what only the newer one has is in them."""

import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify.engines import older_program
from spconvify.engines.program_files import program_files as traced_files
from spconvify.errors import EngineError
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs
from spconvify.source.programs.check import predicted
from spconvify.source.programs.files import ProgramFiles

pytestmark = pytest.mark.skipif(
    paddle.__version__.startswith("2."), reason="Paddle 2 has no other representation"
)

FUNCTIONS = {
    "argmax of a map": lambda x: paddle.argmax(x, axis=1),
    "argmax as a method": lambda x: x.argmax(-1, keepdim=True),
    "argmax of everything": lambda x: paddle.argmax(x),
    "argmax, int32": lambda x: paddle.argmax(x, 1, dtype="int32"),
    "argmin": lambda x: x.argmin(1),
    "sum": lambda x: x.sum(1),
    "sum over two axes": lambda x: paddle.sum(x, [2, 3], keepdim=True),
    "sum of everything": lambda x: x.sum(),
    "sum in another dtype": lambda x: paddle.sum(x, 1, dtype="float64"),
    "sum of truths": lambda x: (x > 0).sum(-1),
    "sum by names": lambda x: paddle.sum(x=x, axis=2, keepdim=True),
    "any": lambda x: (x > 1).any(1),
    "all": lambda x: paddle.all(x > -1, axis=[2, 3]),
    "amax": lambda x: x.amax(1),
    "amin": lambda x: paddle.amin(x, [2, 3], True),
    "logsumexp": lambda x: paddle.logsumexp(x, 1),
    "logsumexp of everything": lambda x: x.logsumexp(),
    "variance": lambda x: x.var(1),
    "not": lambda x: paddle.logical_not(x > 0),
    "xor": lambda x: paddle.logical_xor(x > 0, x > 1),
    "nan": lambda x: paddle.isnan(x),
    "methods": lambda x: (x.abs() + 1).log2() + x.abs().log1p() + x.expm1(),
    "roll": lambda x: x.roll(1, 3),
    "roll of two axes": lambda x: paddle.roll(x, shifts=[1, -2], axis=[2, 3]),
    "expand_as": lambda x: x[:, :1].expand_as(x),
    "triangles": lambda x: x.tril() + 2 * paddle.triu(x, 1),
}


class Everything(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3, padding=1)

    def forward(self, x):
        maps = self.conv(x)
        return [function(maps) for function in FUNCTIONS.values()]


def test_newer_operators_are_written_as_older_ones(tmp_path):
    model = Everything()
    model.eval()
    picture = np.random.RandomState(0).randn(2, 3, 9, 8).astype("float32")
    before = vars(paddle.static.Variable).copy(), paddle.argmax
    older_program.write(model, tmp_path, Inputs.of({"x": InputTensor((-1, 3, 9, 8))}, model))
    assert (vars(paddle.static.Variable), paddle.argmax) == before
    (found,), said = predicted(ProgramFiles(*traced_files(tmp_path)), [[picture]])
    assert found is not None, said
    expected = [output.numpy() for output in model(paddle.to_tensor(picture))]
    for name, one, other in zip(FUNCTIONS, expected, found):
        assert (one.dtype, one.shape) == (other.dtype, other.shape), name
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-5, err_msg=name)


class Fails(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 4, 3)

    def forward(self, x):
        maps = self.conv(x)
        maps += 1  # in place
        raise ValueError("traced as far as this")


def test_a_failed_trace_leaves_nothing_for_a_later_one(tmp_path):
    from paddle.jit.dy2static.program_translator import ProgramTranslator

    translator = ProgramTranslator.get_instance()
    with pytest.raises(EngineError, match="as far as this"):
        older_program.write(Fails(), tmp_path, (1, 3, 8, 8))
    assert translator._params_recorder.params_dict  # under an address that a later program may get
    model = nn.Sequential(nn.Conv2D(3, 4, 3))
    older_program.write(model, tmp_path, (1, 3, 8, 8))
    assert not translator._params_recorder.params_dict
