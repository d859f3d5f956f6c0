"""Where modules are found: nothing of the current folder runs, and a network's own are its parent's."""

import json
import os
import subprocess
import sys

import pytest

from spconvify import imports
from spconvify.engines import children
from spconvify.imports import full_path, installed_path, own_modules

# What Python, Paddle, ONNX and this package import; a folder may hold files that are called so.
NAMES = (
    "typing random numpy json onnx paddle2onnx ctypes zlib spconvify queue threading tempfile importlib "
    "runpy secrets hashlib typer rich paddle __future__ sitecustomize usercustomize"
).split()  # fmt: skip
CANARY = "import os; open({!r}, 'a').write(__name__ + os.linesep)\n"
NETWORK = """
import helper_of_mynet
from paddle import nn
class Net(nn.Layer):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2D(3, 8, 3, padding=1), nn.Conv2D(8, 8, 3, padding=1)
    def forward(self, x):
        import late_of_mynet
        return self.two(self.one(x))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, full of modules that write their name into the file `canary`."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(CANARY.format(str(tmp_path / "canary")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def mynet(tmp_path, monkeypatch):
    for name, text in (("mynet", NETWORK), ("helper_of_mynet", ""), ("late_of_mynet", "")):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments, module=False, **options):
    """Run spconvify as a user does: the installed command, or with ``python -m``."""
    start = ["-m", "spconvify"] if module else ["-c", "from spconvify.cli import main; main()"]
    # -c would look into the current folder, the installed command doesn't.
    variables = {**os.environ, **({} if module else {"PYTHONSAFEPATH": "1"}), **options}
    return subprocess.run(
        [sys.executable, *start, *map(str, arguments)], env=variables, capture_output=True, text=True
    )


on_safe_path = pytest.mark.skipif(sys.version_info < (3, 11), reason="there is no PYTHONSAFEPATH")


def child_says(code, tmp_path, **variables):
    """What a child of ours prints when it runs `code`."""
    module = tmp_path / "own" / "said.py"
    module.parent.mkdir(exist_ok=True)
    module.write_text(f"def main(job):\n    {code}\n")
    process = children._popen("said", module.parent, {**os.environ, **variables}, subprocess.PIPE)
    message = json.loads(children._message("said", {}))
    message["path"] = [*message["path"], str(module.parent)]
    out, err = process.communicate(json.dumps(message) + "\n", timeout=60)
    assert process.returncode == 0, err
    return out


def test_a_child_runs_nothing_of_the_current_folder(folder):
    import spconvify

    code = "import typing, random, numpy, json, ctypes, zlib, spconvify; print(spconvify.__file__)"
    said = child_says(code, folder, PYTHONPATH=str(folder))
    assert said.strip() == os.path.abspath(spconvify.__file__)
    assert not (folder / "canary").exists()


def test_a_folder_of_the_path_does_not_come_before_what_is_installed(folder, monkeypatch):
    other = folder / "other"
    other.mkdir()
    for name in ("random", "numpy", "onnx"):
        (other / f"{name}.py").write_text(CANARY.format(str(folder / "canary")))
    monkeypatch.syspath_prepend(str(other))
    child_says("import random, numpy", folder)
    assert not (folder / "canary").exists()


@pytest.mark.parametrize("module", [pytest.param(False, marks=on_safe_path), True])
def test_the_command_runs_nothing_of_the_current_folder(folder, module):
    if module:  # Python itself imports these before any of our code
        for name in ("importlib", "spconvify", "runpy"):
            (folder / f"{name}.py").unlink()
    done = command("inspect", "resnet20", "--format", "csv", module=module)
    assert done.returncode == 0, done.stderr
    assert not (folder / "canary").exists(), (folder / "canary").read_text()


@pytest.mark.parametrize("path", ["{0}{1}", "{1}{0}", "{0}{1}{0}{2}"])
@pytest.mark.parametrize("module", [False, True])
def test_an_empty_entry_of_the_path_is_not_the_current_folder(folder, tmp_path_factory, path, module):
    for name in ("importlib", "spconvify", "runpy", "sitecustomize", "usercustomize"):
        (folder / f"{name}.py").unlink()  # Python itself imports these before any of our code
    script = tmp_path_factory.mktemp("bin") / "program"
    script.write_text("from spconvify.__main__ import main\nmain()\n")
    root = os.path.dirname(os.path.dirname(imports.__file__))
    environment = {**os.environ, "PYTHONPATH": path.format(os.pathsep, root, folder / "none")}
    call = ["-m", "spconvify"] if module else [str(script)]
    done = subprocess.run(
        [sys.executable, *call, "inspect", "resnet20", "--format", "csv"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (folder / "canary").exists(), (folder / "canary").read_text()


def test_the_converter_runs_nothing_of_the_current_folder(folder, tmp_path_factory):
    pytest.importorskip("paddle2onnx")
    import networks as nets

    from spconvify.engines import onnxruntime

    target = tmp_path_factory.mktemp("target")
    onnxruntime.ENGINE.write(nets.PlainNet(), target, (1, 3, 16, 16))
    assert (target / "model.onnx").exists()
    assert not (folder / "canary").exists()


def test_a_folder_that_no_network_is_named_of_is_not_looked_into(folder):
    for name in ("importlib", "spconvify", "runpy"):
        (folder / f"{name}.py").unlink()
    done = command("inspect", "paddle.vision.models:LeNet", module=True)
    assert done.returncode == 0, done.stderr
    assert not (folder / "canary").exists()


@pytest.mark.parametrize(
    ("engine", "module"),
    [
        pytest.param("eager", False, marks=on_safe_path),
        pytest.param("eager", True, marks=pytest.mark.slow),
        pytest.param("inference", True, marks=pytest.mark.slow),
    ],
)
def test_a_network_of_the_current_folder_works(mynet, engine, module):
    options = ("--input", "1,3,12,12", "--engine", engine, "-q", "--format", "json")
    done = command("report", "mynet:Net", *options, module=module)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["timings"][0]["engine"] == engine


def test_what_a_script_has_put_on_the_path_is_found_where_the_script_found_it(mynet, monkeypatch):
    elsewhere = mynet / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "numbers_of_mine.py").write_text("wrong = True")
    monkeypatch.syspath_prepend(str(mynet))
    import mynet as module

    monkeypatch.setattr(sys, "path", [str(elsewhere), *sys.path])  # which has another of that name
    (elsewhere / "mynet.py").write_text("raise SystemError('another one')")
    places = own_modules()
    assert places["mynet"] == [str(mynet / "mynet.py"), None]
    assert "numpy" not in places
    assert "json" not in places
    assert "spconvify.imports" not in places
    spec = imports.AsInParent(places).find_spec("mynet")
    assert spec.origin == module.__file__
    for name in ("mynet", "helper_of_mynet"):
        del sys.modules[name]


def test_a_package_without_a_file_is_found(tmp_path):
    (tmp_path / "spread").mkdir()
    (tmp_path / "spread" / "inside.py").write_text("value = 3")
    finder = imports.AsInParent({"spread_out": [None, [str(tmp_path / "spread")]]})
    sys.meta_path.insert(0, finder)
    try:
        from spread_out import inside
    finally:
        sys.meta_path.remove(finder)
        for name in ("spread_out", "spread_out.inside"):
            sys.modules.pop(name, None)
    assert inside.value == 3


def test_the_path_of_a_child(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/somebody's/modules", *sys.path])
    assert full_path()[:2] == [str(tmp_path), "/somebody's/modules"]
    path = installed_path()
    assert str(tmp_path) not in path
    assert path.index("/somebody's/modules") > path.index(os.path.dirname(os.__file__))
    import paddle

    assert os.path.dirname(os.path.dirname(paddle.__file__)) in path


def test_a_current_folder_that_was_deleted(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert installed_path()
    assert json.loads(children._message("any", {}))["cwd"] is None
