"""The README's code runs: its Python in the quick suite, its commands in the slow one."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = re.findall(
    r"^```(sh|python)\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [
    line.partition("&& ")[2] if line.startswith("pip install") else line
    for language, code in BLOCKS
    if language == "sh"
    for line in code.splitlines()
    if "spconvify " in line.replace("$(which spconvify)", "") or line.startswith("python examples")
]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with what the README expects beside it, and the checkpoint that its first line makes."""
    import spconvify

    folder = tmp_path_factory.mktemp("clone")
    (folder / "examples").symlink_to(ROOT / "examples")
    network = spconvify.load(ROOT / "examples" / "resnet20_fashion_mnist.pdparams")
    spconvify.save(spconvify.convert(network, fusion="sum"), folder / "sp.pdparams")
    return folder


@pytest.fixture(scope="module")
def names():
    """What earlier blocks have defined."""
    return {}


@pytest.mark.parametrize("index", range(len(PYTHON)))
def test_python_blocks_run_in_their_order(clone, names, monkeypatch, index):
    monkeypatch.chdir(clone)
    exec(compile(PYTHON[index], f"README block {index}", "exec"), names)


def test_commands_are_those_that_there_are():
    from spconvify.cli import app

    known = {command.callback.__name__ for command in app.registered_commands}
    used = {match for line in COMMANDS for match in re.findall(r"\bspconvify (\w+)", line)}
    assert used <= known
    assert known <= used, "a command that the README doesn't show"


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(clone, line):
    if " recover " in line:
        line += " --steps 2 --batch-size 8"  # not its minutes
    program, *arguments = shlex.split(line.split("  #")[0])
    arguments = [*arguments, "--force"] if "--out" in arguments else arguments
    command = [sys.executable, "-c", "from spconvify.cli import main; main()"]
    command = command if program == "spconvify" else [sys.executable]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *arguments], cwd=clone, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
