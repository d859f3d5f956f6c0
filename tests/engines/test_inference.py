"""Handing a network over as a traced program: same outputs, and nothing is left on the network."""

import os
import subprocess
import sys

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import EngineError, convert, fuse
from spconvify.engines import predictor
from spconvify.engines.inference import ENGINE
from spconvify.engines.predictor import _use_onednn, passes_left_out
from spconvify.engines.program_files import program_files

SHAPE = (2, 3, 16, 16)


class Branchy(nets.PlainNet):
    """What the tracer rewrites, and a weight that a hook computes."""

    def __init__(self):
        super().__init__()
        nn.utils.weight_norm(self.conv2)

    def forward(this, x):  # a name that the tracer itself doesn't accept
        if this.training and not paddle.in_dynamic_mode():
            raise RuntimeError("traced in training mode")
        if x.mean() > 100:
            x = x + 1
        return nets.PlainNet.forward(this, x)


def attributes(model):
    """Everything that a trace might change, of every layer."""
    return {
        name: [dict(vars(layer))]
        + [dict(vars(layer)[key]) for key in ("_parameters", "_buffers", "_original_funcs")]
        for name, layer in model.named_sublayers(include_self=True)
    }


def same_objects(before, after):
    return all(
        old.keys() == new.keys() and all(old[key] is new[key] for key in old)
        for name in before
        for old, new in zip(before[name], after[name])
    )


def test_the_program_that_runs_is_the_same(tmp_path):
    model = nets.trained(nn.Sequential(Branchy(), nn.Unflatten(1, (5, 1, 1))))
    model.add_sublayer("more", convert(nets.PlainNet(5)))
    model.register_forward_post_hook(lambda layer, inputs, output: output * 2)
    model.eval()
    values = np.random.default_rng(0).standard_normal(SHAPE, dtype="float32")
    np.save(tmp_path / "x.npy", values)
    # Before tracing: Paddle 3.3 traces a normalised weight as the last run computed it.
    expected = model(paddle.to_tensor(values)).numpy()
    model.train()
    ENGINE.write(model, tmp_path, SHAPE)
    # The worker's side, in a process of its own, and its predictor's output afterwards.
    code = f"""
import pathlib, zlib
import numpy as np
from paddle import inference
from spconvify.engines.inference import ENGINE
create, made = inference.create_predictor, []
inference.create_predictor = lambda config: made.append(create(config)) or made[-1]
ENGINE.load(pathlib.Path({str(tmp_path)!r}), np.load({str(tmp_path / "x.npy")!r}))()
output = made[0].get_output_handle(made[0].get_output_names()[0]).copy_to_cpu()
np.save({str(tmp_path / "y.npy")!r}, output)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-4, atol=1e-4)


def test_the_network_is_left_as_it_was(tmp_path):
    model = nn.Sequential(Branchy(), nn.Unflatten(1, (5, 1, 1)), convert(nets.PlainNet(5)))
    model.train()
    model[0].bn.eval()
    before = attributes(model)
    ENGINE.write(model, tmp_path, SHAPE)
    assert same_objects(before, attributes(model))
    assert model[0].training
    assert not model[0].bn.training
    assert paddle.in_dynamic_mode()
    assert model(paddle.rand(SHAPE)).shape == [2, 5]


def test_a_network_that_cannot_be_traced_names_the_line_and_is_left_as_it_was(tmp_path):
    model = nn.Sequential(nets.conv(3, 3), nn.Sequential(nn.ReLU(), nets.RaisesWhenTraced()))
    model.train()
    before = attributes(model)
    line = nets.RaisesWhenTraced.forward.__code__.co_firstlineno + 2
    where = f"networks.py, line {line}: RuntimeError: no way"
    with pytest.raises(EngineError, match=f"Sequential can't be traced.*{where}") as raised:
        ENGINE.write(model, tmp_path, SHAPE)
    assert str(raised.value).endswith("; try engine='eager'")
    assert "\n" not in str(raised.value)
    assert same_objects(before, attributes(model))
    assert model(paddle.rand(SHAPE)).shape == [*SHAPE]


@pytest.mark.parametrize("name", ["mkldnn", "onednn"])
@pytest.mark.parametrize("default", [True, False])
def test_onednn_is_on(name, default):
    class Config:
        on = default

    setattr(Config, f"{name}_enabled", lambda self: self.on)
    setattr(Config, f"enable_{name}", lambda self: setattr(self, "on", True))
    config = Config()
    _use_onednn(config)
    assert config.on
    from paddle import inference

    _use_onednn(inference.Config())


def test_a_failed_trace_leaves_nothing_for_the_next(tmp_path):
    recorders = pytest.importorskip("paddle.jit.dy2static.parameter_recorder", reason="Paddle 3 has it")
    recorder = recorders._global_parameter_recorder
    with pytest.raises(EngineError):
        ENGINE.write(nn.Sequential(nets.conv(3, 3), nets.RaisesWhenTraced()), tmp_path, SHAPE)
    assert recorder.params_dict  # under an address that the next program may get
    ENGINE.write(nets.PlainNet(), tmp_path, SHAPE)
    assert not recorder.params_dict
    assert not recorder.tensor2value


RESIDUALS, NORMS = "conv_elementwise_add_mkldnn_fuse_pass", "conv_bn_fuse_pass"


@pytest.mark.parametrize("fused", [False, True])
def test_passes_that_never_end_are_left_out(tmp_path, monkeypatch, fused):
    model = nets.PlainNet()
    model.eval()
    ENGINE.write(fuse(model, input_shape=SHAPE) if fused else model, tmp_path, SHAPE)
    program, _ = program_files(tmp_path)
    assert passes_left_out(program) == []
    monkeypatch.setattr(predictor, "MANY_CONVOLUTIONS", 4)
    found = passes_left_out(program)
    if not paddle.__version__.startswith("2."):
        assert found == []  # Paddle 3's end
        return
    assert found[0] == RESIDUALS
    assert (NORMS in found) == fused  # a network that has BatchNorms needs their passes
    monkeypatch.setattr(predictor, "MANY_CONVOLUTIONS", 5)
    assert passes_left_out(program) == []


def test_a_network_is_loaded_without_them(tmp_path, monkeypatch):
    ENGINE.write(nets.PlainNet(), tmp_path, SHAPE)
    configs = []
    monkeypatch.setattr(predictor, "passes_left_out", lambda program: [RESIDUALS])
    monkeypatch.setattr(predictor, "runner", lambda predictor, values: list)
    monkeypatch.setattr(paddle.inference, "create_predictor", configs.append)
    ENGINE.load(tmp_path, np.zeros(SHAPE, "float32"))
    assert RESIDUALS not in configs[0].pass_builder().all_passes()


def test_a_home_that_nothing_can_be_written_to(tmp_path, monkeypatch):
    """Paddle keeps the code that it traces there."""
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    ENGINE.write(nn.Conv2D(3, 4, 3), tmp_path, (1, 3, 8, 8))
    assert (tmp_path / "model.pdiparams").exists()
    assert os.environ["HOME"] == str(tmp_path / "home")


class Idle(nn.Layer):
    """Asks for an input that changes nothing, as detectors without their last step do."""

    def __init__(self):
        super().__init__()
        self.conv = nets.conv(3, 4)

    def forward(self, image, scale):
        return self.conv(image)


@pytest.mark.skipif(paddle.__version__.startswith("2."), reason="Paddle 2 leaves it out")
def test_an_input_of_no_influence_is_named(tmp_path):
    shapes = {"image": (1, 3, 8, 8), "scale": (1, 2)}
    with pytest.raises(
        EngineError, match=r"the input 'image' or 'scale' has no influence on any output"
    ):
        ENGINE.write(Idle(), tmp_path, shapes)
