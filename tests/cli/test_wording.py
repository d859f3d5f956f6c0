"""Messages name options in the words of where they are read."""

import ast
import re
from pathlib import Path

import networks as nets
import pytest
from command_line import one_line_error

import spconvify
from spconvify import save
from spconvify.cli.wording import as_flag
from spconvify.errors import Option

PACKAGE = Path(spconvify.__file__).parent
# Programs that aren't ours, and notes on the table of the command line.
OTHERS = ("pip install", "--only-faster keeps it there")


@pytest.mark.parametrize(
    ("option", "flag"),
    [
        (Option("exclude", "layer1.0.conv1"), "--exclude 'layer1.0.conv1'"),
        (Option("exclude", "it's"), "--exclude 'it'\\''s'"),
        (Option("input_shape"), "--input"),
        (Option("overwrite", True), "--force"),
        (Option("force", True), "--force"),
        (Option("engine", "eager"), "--engine eager"),
        (Option("model_or_arch", "package.module:factory"), "--arch package.module:factory"),
        (Option("learning_rate"), "--learning-rate"),
    ],
)
def test_flags(option, flag):
    assert as_flag(option) == flag


def docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            yield node.body[0].value


@pytest.mark.parametrize(
    "file", [f for f in PACKAGE.rglob("*.py") if "cli" not in f.parts], ids=lambda f: f.name
)
def test_the_library_never_speaks_of_flags(file):
    tree = ast.parse(file.read_text("utf-8"))
    documentation = {id(node) for node in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) in documentation or any(other in node.value for other in OTHERS):
                continue
            assert not re.search(r"(^|[ '(])--[a-z]", node.value), (node.lineno, node.value)


def test_the_command_line_speaks_of_flags(run, tmp_path):
    path = save(nets.ParentReadsWeight(), tmp_path / "w.pdparams")
    arch = ("--arch", "networks:ParentReadsWeight")
    result = run("convert", path, *arch, "--input", "1,8,16,16", "--out", tmp_path / "o.pdparams")
    assert "exclude it with --exclude 'conv'" in one_line_error(result, 1)
    result = run("convert", path, *arch, "--input", "1,5,16,16")
    assert "; give another --input" in one_line_error(result, 2)
    assert "use --arch package.module:factory" in one_line_error(run("convert", path), 1)
