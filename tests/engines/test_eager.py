"""Handing a network over as a pickle: it comes out the same, or the error names the obstacle."""

import networks as nets
import numpy as np
import paddle
import pytest
from paddle import nn

from spconvify import EngineError, convert
from spconvify.engines.eager import ENGINE

SHAPE = (2, 3, 16, 16)


def handed_over(network, folder, monkeypatch):
    """The network that the worker's side loads, and the output of its run."""
    ENGINE.write(network, folder, SHAPE)
    seen = []
    call = nn.Layer.__call__

    def note(self, *inputs):
        output = call(self, *inputs)
        seen.append((self, output))
        return output

    values = np.random.default_rng(0).standard_normal(SHAPE, dtype="float32")
    run = ENGINE.load(folder, values)
    with monkeypatch.context() as context:
        context.setattr(nn.Layer, "__call__", note)
        run()
    return *seen[-1], paddle.to_tensor(values)


class Collection(nets.PlainNet):
    """Holds one of everything that an ordinary pickle can't take."""

    def __init__(self):
        super().__init__()
        self.place = paddle.CPUPlace()
        self.dtype = paddle.float32
        self.constant = paddle.to_tensor([1.5, -2.0]).astype("bfloat16")
        self.unused = nn.LSTM(2, 2)
        self.attr = paddle.ParamAttr(initializer=nn.initializer.Normal())
        nn.utils.weight_norm(self.conv2)


@pytest.mark.parametrize("make", [lambda: convert(nets.PlainNet()), Collection])
def test_the_network_that_runs_is_the_same(make, tmp_path, monkeypatch):
    model = nets.trained(make())
    copy, output, x = handed_over(model, tmp_path, monkeypatch)
    assert type(copy) is type(model)
    assert type(copy.stem.weight) is type(model.stem.weight)
    assert output.stop_gradient
    np.testing.assert_allclose(output.numpy(), model(x).numpy(), rtol=1e-5, atol=1e-5)
    if make is Collection:
        assert copy.dtype == paddle.float32
        assert copy.constant.dtype == paddle.bfloat16
        assert copy.constant.astype("float32").tolist() == [1.5, -2.0]
        assert list(copy.state_dict()) == list(model.state_dict())


def test_it_runs_in_eval_mode_and_the_original_keeps_its_own(tmp_path, monkeypatch):
    model = nets.PlainNet()
    model.train()
    copy, _, _ = handed_over(model, tmp_path, monkeypatch)
    assert not copy.bn.training
    assert model.bn.training


def test_sharing_is_kept(tmp_path, monkeypatch):
    model = nn.Sequential(nets.conv(3, 8), nets.SharedConvNet(), nets.TiedWeightNet())
    copy, _, _ = handed_over(model, tmp_path, monkeypatch)
    shared, tied = copy[1], copy[2]
    assert shared.first is shared.second
    assert shared.first is shared.block[0]
    assert tied.conv1.weight is tied.conv2.weight
    assert len(copy.parameters()) == len(model.parameters())


def test_what_cannot_be_pickled_is_named(tmp_path):
    class Local(nn.Layer):
        pass

    with pytest.raises(EngineError, match=r"layer '1', attribute 'run': .*try engine='inference'"):
        ENGINE.write(nn.Sequential(nets.conv(), nets.HiddenAlias()), tmp_path, SHAPE)
    with pytest.raises(EngineError, match=r"Local can't be handed.*<locals>\.Local.*engine='inference'"):
        ENGINE.write(Local(), tmp_path, SHAPE)


def test_a_class_of_the_main_script_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Collection, "__module__", "__main__")
    with pytest.raises(EngineError, match="'Collection' is defined in the main script"):
        ENGINE.write(Collection(), tmp_path, SHAPE)
