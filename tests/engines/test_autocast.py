"""Casts to half precision in a network: autocast has no effect on a CPU, and other casts are named."""

import networks as nets
import numpy as np
import paddle
import pytest

from spconvify import EngineError, export
from spconvify.deploy.half_precision import half_precision_in, naming_half_precision
from spconvify.engines.autocast import without_autocast
from spconvify.network.inputs import Inputs

SHAPE = (1, 3, 16, 16)


class UnderAutocast(nets.PlainNet):
    def forward(self, x):
        with paddle.amp.auto_cast(dtype="bfloat16", level="O1"):
            return nets.PlainNet.forward(self, x)


class Casting(nets.PlainNet):
    """Rounds its scores as float16 has them."""

    def forward(self, x):
        return nets.PlainNet.forward(self, x).astype("float16").astype("float32")


@pytest.mark.filterwarnings("ignore:amp_guard can only be enabled")
def test_a_network_under_autocast_is_exported_as_it_runs_on_a_cpu(tmp_path):
    model = nets.trained(UnderAutocast())
    folder = export(model, tmp_path / "out", SHAPE, tune=False)
    program = next(folder.glob("model.json"), folder / "model.pdmodel").read_bytes()
    assert b"bf16" not in program
    assert half_precision_in(model, Inputs.of(SHAPE, model)) is None


def test_levels_are_as_they_were():
    with without_autocast():
        pass
    with paddle.amp.auto_cast(enable=False, level="O2"):
        assert paddle.ones([1]).dtype == paddle.float32


def test_a_cast_is_named_where_an_engine_fails():
    model = nets.trained(Casting())
    inputs = Inputs.of(SHAPE, model)
    with pytest.raises(EngineError, match=r"^std::exception. The network casts to float16, and engines"):
        with naming_half_precision(model, inputs):
            raise EngineError("std::exception")
    plain = nets.trained(nets.PlainNet())
    with pytest.raises(EngineError, match=r"^std::exception$"):
        with naming_half_precision(plain, inputs):
            raise EngineError("std::exception")


def test_a_cast_in_a_layer_is_found_there():
    model = nets.trained(nets.PlainNet())
    inner = model.point.forward
    model.point.forward = lambda x: inner(x).astype("float16").astype("float32")
    assert half_precision_in(model, Inputs.of(SHAPE, model)) == ("float16", "point")
    np.testing.assert_array_equal(model(paddle.ones(SHAPE)).shape, [1, 5])
