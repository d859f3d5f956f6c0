"""An exported program becomes a network that computes the same, and is one like any other."""

import numpy as np
import paddle
import pytest
from exported_networks import (
    ONE_PICTURE,
    Branch,
    TwoInputs,
    write,
)
from paddle import nn

import spconvify
from spconvify import CheckpointError, zoo
from spconvify.source.programs.network import ProgramNetwork


@pytest.fixture
def unchecked(monkeypatch):
    """These tests compare with the network itself; a process for Paddle's predictor takes seconds."""
    monkeypatch.setattr("spconvify.source.programs.check.check_network", lambda network, files: None)


def with_statistics(network, seed=0):
    """BatchNorms and their like that do something."""
    generator = np.random.default_rng(seed)
    for layer in network.sublayers():
        for name in ("weight", "bias", "_mean", "_variance", "scale"):
            tensor = getattr(layer, name, None)
            if "Norm" in type(layer).__name__ and tensor is not None:
                tensor.set_value(generator.uniform(0.5, 1.5, tensor.shape).astype("float32"))
    network.eval()
    return network


def picture(shape, seed=0):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(shape).astype("float32"))


@pytest.mark.parametrize("kind", ONE_PICTURE)
def test_it_computes_the_same(unchecked, tmp_path, kind):
    paddle.seed(0)
    model = with_statistics(kind())
    is_free = kind.__name__ not in ("Line", "Attention")
    shape = (-1, 4, -1, -1) if is_free else (-1, 4, 5, 4)
    loaded = spconvify.load(write(model, tmp_path / "net", shape))
    sizes = [(2, 4, 12, 16), (3, 4, 24, 18)] if is_free else [(2, 4, 5, 4)]
    for size in sizes:
        np.testing.assert_allclose(
            loaded(picture(size)).numpy(), model(picture(size)).numpy(), rtol=1e-5, atol=1e-6
        )


def test_layers_are_found_again(unchecked, tmp_path):
    loaded = spconvify.load(write(with_statistics(ONE_PICTURE[1]()), tmp_path / "net", (-1, 4, 12, 16)))
    kinds = [type(layer) for layer in loaded.sublayers() if type(layer) is not nn.Layer]
    assert kinds == [nn.Conv2D, nn.BatchNorm2D], "that are called twice are one each"
    conv = next(layer for layer in loaded.sublayers() if isinstance(layer, nn.Conv2D))
    assert conv.bias is not None, "the addition behind it is its bias"


@pytest.mark.parametrize("name", ["resnet20", "mobilenet_v2", "squeezenet1_1", "shufflenet_v2_x0_25"])
def test_known_networks(unchecked, tmp_path, name):
    paddle.seed(1)
    model = with_statistics(zoo.find(name, 10).build())
    loaded = spconvify.load(write(model, tmp_path / name, (-1, 3, 64, 64)))
    np.testing.assert_allclose(
        loaded(picture((2, 3, 64, 64))).numpy(),
        model(picture((2, 3, 64, 64))).numpy(),
        rtol=1e-4,
        atol=1e-5,
    )
    assert len(spconvify.find_sites(loaded)) == len(spconvify.find_sites(model))


def test_several_inputs_and_outputs(tmp_path):
    model = TwoInputs()
    model.eval()
    specs = [
        paddle.static.InputSpec([None, 3, None, None], "float32", "image"),
        paddle.static.InputSpec([None, 7], "int64", "ids"),
    ]
    paddle.jit.save(model, str(tmp_path / "net"), input_spec=specs)
    loaded = spconvify.load(tmp_path / "net")
    image, ids = picture((2, 3, 8, 9)), paddle.to_tensor(np.arange(14).reshape(2, 7) % 10)
    expected = model(image, ids)
    for found in (loaded(image, ids), loaded(ids=ids, image=image)):
        for one, other in zip(found, (expected[key] for key in sorted(expected))):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
    assert [feed.name for feed in loaded.feeds] == ["image", "ids"]
    assert spconvify.cost(loaded, loaded.usual_inputs()).macs > 0, "it knows what it can be run on"
    slim = spconvify.convert(loaded, 0.5, fusion="sum")
    assert slim(image, ids)[1].shape == [2, 6, 8, 9]
    assert len(loaded(image)) == 3, "words as they are usual go with a picture"
    assert slim(picture((3, 3, 8, 8)))[1].shape == [3, 6, 8, 8]


def test_every_way_to_name_it(unchecked, tmp_path):
    program = write(ONE_PICTURE[0](), tmp_path / "folder" / "inference")
    for named in (program, program.with_suffix(""), program.with_suffix(".pdiparams"), program.parent):
        assert isinstance(spconvify.load(named), ProgramNetwork)


def test_it_is_converted_fused_trained_and_exported_again(unchecked, tmp_path):
    paddle.seed(2)
    model = with_statistics(zoo.find("resnet20", 10).build())
    loaded = spconvify.load(write(model, tmp_path / "net", (-1, 3, 32, 32)))
    images = picture((32, 3, 32, 32)).numpy()
    slim = spconvify.convert(
        loaded, 0.5, fusion="sum", init="lstsq", calibration=[images], progress=False
    )
    slim.eval()
    fused = spconvify.fuse(slim)
    x = picture((2, 3, 32, 32), 1)
    np.testing.assert_allclose(fused(x).numpy(), slim(x).numpy(), rtol=1e-3, atol=1e-4)
    again = spconvify.load(write(fused, tmp_path / "again", (-1, 3, 32, 32)))
    np.testing.assert_allclose(again(x).numpy(), fused(x).numpy(), rtol=1e-4, atol=1e-5)
    slim.train()
    slim(x).square().mean().backward()
    assert all(p.grad is not None for p in slim.parameters() if not p.stop_gradient)
    assert spconvify.export(slim, tmp_path / "out", (1, 3, 32, 32), tune=False).is_dir()


def test_a_checkpoint_of_it_is_loaded_into_the_program(unchecked, tmp_path):
    program = write(with_statistics(ONE_PICTURE[1]()), tmp_path / "net")
    slim = spconvify.convert(spconvify.load(program), 0.5, fusion="sum")
    spconvify.save(slim, tmp_path / "slim.pdparams")
    loaded = spconvify.load(tmp_path / "slim.pdparams", str(program))
    slim.eval(), loaded.eval()
    x = picture((1, 4, 12, 16))
    np.testing.assert_array_equal(loaded(x).numpy(), slim(x).numpy())


def test_it_is_compared_with_paddles_predictor(tmp_path):
    assert isinstance(spconvify.load(write(ONE_PICTURE[0](), tmp_path / "net")), ProgramNetwork)


def test_control_flow_is_refused(tmp_path):
    program = write(Branch(), tmp_path / "net")
    with pytest.raises(CheckpointError, match=r"has control flow \(.*give the network's checkpoint"):
        spconvify.load(program)


def test_another_networks_parameters(tmp_path):
    program = write(ONE_PICTURE[0](), tmp_path / "net")
    other = write(ONE_PICTURE[1](), tmp_path / "other")
    program.with_suffix(".pdiparams").write_bytes(other.with_suffix(".pdiparams").read_bytes())
    with pytest.raises(CheckpointError, match=r"another program's|truncated"):
        spconvify.load(program)


def test_a_network_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    from spconvify.source.programs import table

    program = write(ONE_PICTURE[0](), tmp_path / "net")
    monkeypatch.setitem(
        table.FUNCTIONS, "leaky_relu", lambda n: (nn.functional.leaky_relu, [n.x(), 0.3], {})
    )
    with pytest.raises(CheckpointError, match="off by"):
        spconvify.load(program)
