"""A program is run in a process of its own first; what that can't do, this one doesn't try."""

import sys
import warnings

import numpy as np
import paddle
import pytest
from exported_networks import ONE_PICTURE, write
from paddle import nn

import spconvify
from spconvify import CheckpointError
from spconvify.engines.memory import available
from spconvify.errors import EngineError, NotCheckedWarning
from spconvify.source.programs import check, reference, writing
from spconvify.source.programs.feeds import usual_values
from spconvify.source.programs.files import program_files
from spconvify.source.programs.network import ProgramNetwork


class Huge(nn.Layer):
    """Hundreds of gigabytes of its input."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(4, 4, 3, padding=1)

    def forward(self, x):
        return self.conv(x).tile([1, 64, 200, 200]).mean([2, 3])


@pytest.fixture
def runs(monkeypatch):
    """How often the network was run here."""
    counted, forward = [], ProgramNetwork.forward

    def counting(self, *args, **kwargs):
        counted.append(self)
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(ProgramNetwork, "forward", counting)
    return counted


def test_one_that_takes_more_memory_than_is_free(tmp_path, runs):
    with pytest.raises(CheckpointError, match="takes more memory than is free"):
        spconvify.load(write(Huge(), tmp_path / "net"))
    assert not runs


def test_where_the_predictor_fails_nothing_is_run_here(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(check, "predicted", lambda files, trials: ([None for _ in trials], "no kernel"))
    with pytest.warns(NotCheckedWarning, match="wasn't compared with the program: no kernel"):
        spconvify.load(write(ONE_PICTURE[0](), tmp_path / "net"))
    assert not runs


def test_where_its_process_ends_nothing_is_run_here(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(check.children, "run", lambda *args: (-11, "1 2 3\n"))
    with pytest.warns(NotCheckedWarning):
        spconvify.load(write(ONE_PICTURE[0](), tmp_path / "net"))
    assert not runs


def test_one_size_that_works_is_enough(tmp_path, monkeypatch):
    predicted = check.predicted
    monkeypatch.setattr(
        check, "predicted", lambda files, trials: ([predicted(files, trials)[0][0], None], "too small")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotCheckedWarning)
        spconvify.load(write(ONE_PICTURE[0](), tmp_path / "net"))


def test_outputs_that_would_fill_this_process(tmp_path, monkeypatch, capsys):
    outputs = [np.broadcast_to(np.float32(0), (1 << 15, 1 << 14))]
    monkeypatch.setattr(reference, "_run", lambda *args: outputs)
    monkeypatch.setattr(reference, "_limit_memory", lambda: None)
    reference.main({"program": "p", "parameters": "q", "trials": [("a", str(tmp_path / "b.npz"))]})
    assert "out of memory" in capsys.readouterr().out
    assert not (tmp_path / "b.npz").exists()


def test_a_disk_that_is_full_in_the_middle_leaves_no_half_of_an_output(tmp_path, monkeypatch, capsys):
    def half(file, *_, **__):
        file.write(b"PK half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reference, "_run", lambda *args: [np.zeros(3)])
    monkeypatch.setattr(reference, "_limit_memory", lambda: None)
    monkeypatch.setattr(np, "savez", half)
    reference.main({"program": "p", "parameters": "q", "trials": [("a", str(tmp_path / "b.npz"))]})
    assert "No space left on device" in capsys.readouterr().out
    assert not (tmp_path / "b.npz").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_path_that_paddle_can_not_take_is_named(tmp_path):
    (tmp_path / "net").mkdir()
    program = write(ONE_PICTURE[0](), tmp_path / "net" / "net")
    odd = (tmp_path / "net").rename(tmp_path / "n\udcff")
    with pytest.warns(NotCheckedWarning, match="its path isn't UTF-8, as Paddle needs it"):
        spconvify.load(odd / program.name)


def test_an_error_of_the_network_alone_is_one_line(tmp_path, monkeypatch):
    def failing(self, x0):
        raise ValueError("first\nsecond")

    program = write(ONE_PICTURE[0](), tmp_path / "net")
    monkeypatch.setattr(ProgramNetwork, "forward", failing)
    with pytest.raises(CheckpointError, match="Paddle runs it, but the network made of it fails"):
        spconvify.load(program)


def test_what_is_free_is_known():
    free = available()
    assert free is None or 1 << 20 < free < 1 << 50


class Logarithm(nn.Layer):
    """Of random numbers there is none; of pixels there is."""

    def __init__(self, scale=1.0):
        super().__init__()
        self.conv, self._scale = nn.Conv2D(4, 4, 3, padding=1), scale

    def forward(self, x):
        return self.conv((x * self._scale - 1.0 + self._scale).log() + x).mean([2, 3])


def test_numbers_that_pixels_have_are_tried_too(tmp_path):
    """Where random ones give NaN alone, any network would be equal."""
    program = write(Logarithm(), tmp_path / "net")
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotCheckedWarning)
        network = spconvify.load(program)
    values = [output for output in _outputs(network) if np.isfinite(output).any()]
    assert len(values) == 1


def test_what_is_never_finite_was_not_compared(tmp_path):
    program = write(Logarithm(-1.0), tmp_path / "net")
    with pytest.warns(NotCheckedWarning, match="its output isn't finite anywhere on random numbers"):
        spconvify.load(program)


def test_what_is_written_is_compared_on_something(tmp_path, monkeypatch):
    program = write(Logarithm(), tmp_path / "net")
    network, files = spconvify.load(program), program_files(program)
    monkeypatch.setattr(writing, "TRIALS", check.TRIALS[:1])
    with pytest.raises(EngineError, match="so what was written can't be checked"):
        writing.write_program(network, files, tmp_path / "slim")
    assert not (tmp_path / "slim").exists()


def _outputs(network):
    for trial in check.TRIALS:
        inputs = [paddle.to_tensor(array) for array in usual_values(network.feeds, *trial)]
        yield network(*inputs).numpy()
