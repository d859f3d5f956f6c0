"""The command line as a function."""

import pytest

from spconvify import save
from spconvify.cli import main
from spconvify.zoo.cifar import resnet20


@pytest.fixture(scope="session")
def network(tmp_path_factory):
    """The bytes of a checkpoint."""
    path = tmp_path_factory.mktemp("networks") / "net.pdparams"
    save(resnet20(), path)
    return path.read_bytes()


@pytest.fixture
def run(capsys):
    """Run a command line; returns (exit code, stdout, stderr)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return end.value.code, captured.out, captured.err

    return call
