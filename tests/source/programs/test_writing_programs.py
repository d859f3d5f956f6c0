"""A program that came from a network that came from a program: what deploys it sees no difference."""

from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from exported_networks import ONE_PICTURE, TwoInputs, write

import spconvify
from spconvify.engines import children, older_program
from spconvify.errors import ArgumentError, EngineError, SpconvifyError
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs
from spconvify.source.programs import writing
from spconvify.source.programs.check import predicted
from spconvify.source.programs.feeds import usual_values
from spconvify.source.programs.files import ProgramFiles, program_files
from spconvify.source.programs.reading import read_program
from spconvify.source.programs.writing import write_program

IS_2 = paddle.__version__.startswith("2.")
FORMATS = [".pdmodel"] if IS_2 else [".json", ".pdmodel"]


SPECS = {"image": ((-1, 3, -1, -1), "float32"), "ids": ((-1, 7), "int64")}


@pytest.fixture(params=FORMATS)
def original(request, tmp_path):
    """Two inputs, three outputs, in one of the formats that this Paddle writes."""
    usual = request.param == ".json" or IS_2
    model, folder = TwoInputs(), tmp_path / "net"
    model.eval()
    folder.mkdir()
    if usual:
        specs = [paddle.static.InputSpec(list(s), d, name) for name, (s, d) in SPECS.items()]
        paddle.jit.save(model, str(folder / "inference"), input_spec=specs)
    else:
        tensors = [InputTensor(shape, dtype) for shape, dtype in SPECS.values()]
        older_program.write(model, folder, Inputs.of(tensors, model))
        for path in list(folder.iterdir()):
            path.rename(folder / path.name.replace("model.", "inference.", 1))
    (folder / "inference.yml").write_text("PreProcess: []\n")
    found = program_files(folder / "inference")
    assert found.program.suffix == request.param
    return found


@pytest.fixture
def network(original, monkeypatch):
    monkeypatch.setattr("spconvify.source.programs.check.check_network", lambda network, files: None)
    return spconvify.load(original.program)


def interface(files: ProgramFiles):
    program, _ = read_program(files)
    feeds = [(feed.name, feed.dtype, feed.shape) for feed in program.feeds]
    return feeds, [fetch.name for fetch in program.fetches]


def test_inputs_and_outputs_are_kept(network, original, tmp_path):
    slim = spconvify.convert(network, 0.5, fusion="sum")
    slim.eval()
    error = write_program(slim, original, tmp_path / "slim")
    assert error < 1e-4
    written = program_files(tmp_path / "slim")
    assert written.program.name == original.program.name
    assert written.parameters.name == original.parameters.name
    assert interface(written) == interface(original)
    assert [(name, shape) for name, _, shape in interface(written)[0]] == [
        (name, shape) for name, (shape, _) in SPECS.items()
    ]
    assert (tmp_path / "slim" / "inference.yml").read_text() == "PreProcess: []\n"
    # Other batches and sizes than any that it was traced with.
    program, _ = read_program(original)
    for size in ((3, 3, 10, 14), (1, 3, 33, 21)):
        values = usual_values(program.feeds, size[0])
        values[0] = np.random.default_rng(1).standard_normal(size).astype("float32")
        (found,), said = predicted(written, [values])
        assert found is not None, said
        expected = slim(*map(paddle.to_tensor, values))
        for one, other in zip(found, expected):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-5)
            assert one.dtype == other.numpy().dtype


def test_read_again_it_is_the_same(network, original, tmp_path):
    write_program(network, original, tmp_path / "again")
    again = spconvify.load(tmp_path / "again")
    values = [paddle.to_tensor(array) for array in usual_values(network.feeds, 2)]
    for one, other in zip(again(*values), network(*values)):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)


def test_nothing_is_left_where_it_fails(network, original, tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "predicted", lambda files, trials: ([None, None], "no kernel"))
    with pytest.raises(EngineError, match="no kernel; nothing is left of it"):
        write_program(network, original, tmp_path / "slim")
    assert not (tmp_path / "slim").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net"]


@pytest.mark.parametrize("full", [False, True])
def test_a_full_disk_is_named(network, original, tmp_path, monkeypatch, full):
    def cut_off(*given):
        files = writing_as_it_is(*given)
        files.parameters.write_bytes(files.parameters.read_bytes()[:100])
        return files

    writing_as_it_is = writing._write
    monkeypatch.setattr(writing, "_write", cut_off)
    if full:
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=4096))
    expected = r"can't write .*out: no space left on its disk" if full else "can't read"
    with pytest.raises(SpconvifyError, match=expected):
        write_program(network, original, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_another_interface_is_a_fault(network, original, tmp_path, monkeypatch):
    rename = writing.rename_outputs
    monkeypatch.setattr(writing, "rename_outputs", lambda program, names: rename(program, list("abc")))
    with pytest.raises(EngineError, match="came out with the inputs and outputs"):
        write_program(network, original, tmp_path / "slim")
    assert not (tmp_path / "slim").exists()


def test_weights_that_are_not_finite(network, original, tmp_path):
    network.parameters()[0].set_value(np.full(network.parameters()[0].shape, np.nan, "float32"))
    with pytest.raises(EngineError, match="so nothing was written"):
        write_program(network, original, tmp_path / "slim")


def test_a_folder_that_is_there(network, original, tmp_path):
    (tmp_path / "slim").mkdir()
    (tmp_path / "slim" / "mine").write_text("x")
    with pytest.raises(ArgumentError):
        write_program(network, original, tmp_path / "slim")
    assert (tmp_path / "slim" / "mine").read_text() == "x"


@pytest.mark.skipif(not IS_2, reason="Paddle 3 writes both")
def test_paddle_2_writes_no_program_of_paddle_3(tmp_path):
    files = ProgramFiles(tmp_path / "a.json", tmp_path / "a.pdiparams")
    with pytest.raises(EngineError, match="install Paddle 3, or let a checkpoint"):
        writing.check_format(files)


def test_a_child_that_dies_writes_nothing(tmp_path, monkeypatch):
    files = program_files(write(ONE_PICTURE[0](), tmp_path / "net"))
    monkeypatch.setattr(children, "run", lambda *args: (-9, ""))
    assert predicted(files, [[np.zeros(1)]]) == ([None], "")


class Pixels(paddle.nn.Layer):
    """Takes bytes, and scales and normalises them itself."""

    def __init__(self):
        super().__init__()
        self.conv, self.again = paddle.nn.Conv2D(3, 8, 3, padding=1), paddle.nn.Conv2D(8, 8, 3)

    def forward(self, x):
        return self.again(self.conv((x.astype("float32") / 255.0 - 0.5) / 0.25)).mean([2, 3])


def test_pictures_of_bytes(tmp_path):
    """Normalised images are refused, which would give figures that say nothing."""
    model, prefix = Pixels(), tmp_path / "net" / "inference"
    model.eval()
    prefix.parent.mkdir()
    paddle.jit.save(
        model, str(prefix), input_spec=[paddle.static.InputSpec([-1, 3, 16, 16], "uint8", "x")]
    )
    network, pixels = spconvify.load(prefix.parent), np.full((2, 3, 16, 16), 200, "uint8")
    right = model(paddle.to_tensor(pixels)).numpy()
    np.testing.assert_allclose(network(paddle.to_tensor(pixels)).numpy(), right, rtol=1e-5, atol=1e-6)
    images = np.random.RandomState(0).randn(16, 3, 16, 16).astype("float32")
    with pytest.raises(ArgumentError, match=r"takes 'x' as uint8, and got float32.*without images"):
        spconvify.convert(network, fusion="sum", init="lstsq", calibration=[images])
    with pytest.raises(ArgumentError, match="takes 'x' as uint8"):
        spconvify.slim(network, fusion="sum", eval_data=(images, np.zeros(16, "int64")))
    slim = spconvify.convert(network, fusion="sum")
    write_program(slim, program_files(prefix), tmp_path / "slim")
    again = spconvify.load(tmp_path / "slim")(paddle.to_tensor(pixels)).numpy()
    np.testing.assert_allclose(again, slim(paddle.to_tensor(pixels)).numpy(), rtol=1e-4, atol=1e-5)
