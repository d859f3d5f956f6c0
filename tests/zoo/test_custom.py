import os
import sys

import pytest
from paddle import nn

from spconvify import zoo
from spconvify.errors import ArgumentError

MODULE = """
import paddle
from paddle import nn

class Tiny(nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2D(3, 8, 3)

def build(): return nn.Sequential(nn.Conv2D(3, 8, 3))
def build_late():
    import late_helper
    return late_helper.network()
def needs_argument(width): return build()
def fails(): raise RuntimeError("no weights here\\nsecond line")
def fails_silently(): raise KeyError
def exits(): raise SystemExit(3)
def nothing(): pass
def number(): return 7
def array(): return [build()]
def model(): return paddle.Model(build())
network = build()
constant = 3
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A module `nets` in the current directory; its name is fresh for every test."""
    name = f"nets_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "late_helper.py").write_text("from paddle import nn\ndef network(): return nn.ReLU()\n")
    (tmp_path / "broken_syntax.py").write_text("def build(:\n")
    (tmp_path / "broken_import.py").write_text("import a_package_that_nobody_has\n")
    (tmp_path / "script.py").write_text("import sys\nsys.exit('usage: script.py')\n")
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield name
    for module in set(sys.modules) - before:
        if module.partition(".")[0] in (name, "late_helper", "script"):
            del sys.modules[module]


def test_a_factory_of_the_current_directory(nets):
    path = list(sys.path)
    assert isinstance(zoo.build_custom(f"{nets}:build"), nn.Sequential)
    assert type(zoo.build_custom(f"{nets}:Tiny")).__name__ == "Tiny"
    assert isinstance(zoo.build_custom(f"{nets}:build_late"), nn.ReLU)
    assert sys.path == path


def test_a_factory_of_a_package():
    assert isinstance(zoo.build_custom("paddle.vision.models:LeNet"), nn.Layer)


def test_parameter_names_start_afresh(nets):
    first, second = (zoo.build_custom(f"{nets}:build") for _ in range(2))
    assert [p.name for p in first.parameters()] == [p.name for p in second.parameters()]


def test_resolve_takes_names_and_factories(nets):
    assert zoo.resolve("resnet18") == zoo.find("resnet18")
    custom = zoo.resolve(f"{nets}:build")
    assert custom.input_shape == (1, 3, 224, 224)
    assert isinstance(custom.build(lazy=True), nn.Sequential)
    assert bool(custom.build(lazy=True)[0].weight._is_initialized())
    with pytest.raises(ArgumentError, match="architecture 'resnet1' is unknown"):
        zoo.resolve("resnet1")


REFUSED = [
    ("nets", "names no module and factory; write it as package.module:factory"),
    (":build", "names no module and factory; write it as package.module:factory"),
    ("nets:", "names no module and factory; write it as package.module:factory"),
]


@pytest.mark.parametrize(("arch", "message"), REFUSED)
def test_another_form(arch, message):
    with pytest.raises(ArgumentError) as error:
        zoo.build_custom(arch)
    assert str(error.value) == f"architecture {arch!r} {message}"


FAILING = [
    ("bild", ": module 'NETS' has no 'bild'; did you mean build?"),
    ("xyz", ": module 'NETS' has no 'xyz'; name a function that it holds"),
    (
        "constant",
        ": 'constant' is an int, not something to call; "
        "name a function or a class that builds the network",
    ),
    (
        "network",
        ": 'network' is a Sequential, not something to call; "
        "name a function or a class that builds the network",
    ),
    (
        "needs_argument",
        ": calling it without arguments failed: TypeError: needs_argument() missing 1 required "
        "positional argument: 'width'; name a function that needs no argument and returns the network",
    ),
    (
        "fails",
        ": calling it without arguments failed: RuntimeError: no weights here; "
        "name a function that needs no argument and returns the network",
    ),
    (
        "fails_silently",
        ": calling it without arguments failed: KeyError; "
        "name a function that needs no argument and returns the network",
    ),
    (
        "exits",
        ": calling it without arguments failed: SystemExit: 3; "
        "name a function that needs no argument and returns the network",
    ),
    ("nothing", " returned None; return the network, a paddle.nn.Layer"),
    ("number", " returned an int; return the network, a paddle.nn.Layer"),
    ("array", " returned a list; return the network, a paddle.nn.Layer"),
    ("model", " returned a paddle.Model; return its .network instead"),
]


@pytest.mark.parametrize(("factory", "message"), FAILING)
def test_a_factory_that_gives_no_network(nets, factory, message):
    path = list(sys.path)
    with pytest.raises(ArgumentError) as error:
        zoo.build_custom(f"{nets}:{factory}")
    assert str(error.value) == f"architecture '{nets}:{factory}'" + message.replace("NETS", nets)
    assert sys.path == path


def test_a_module_that_is_not_there(nets):
    with pytest.raises(ArgumentError) as error:
        zoo.build_custom("no_such_package.nets:build")
    assert str(error.value) == (
        "architecture 'no_such_package.nets:build': there is no module 'no_such_package', neither "
        f"installed nor in {os.getcwd()}; run spconvify from the folder that holds it"
    )


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("broken_import", "ModuleNotFoundError: No module named 'a_package_that_nobody_has'"),
        ("broken_syntax", "SyntaxError: invalid syntax (broken_syntax.py, line 1)"),
        ("script", "SystemExit: usage: script.py"),
        (".relative", "TypeError: the 'package' argument is required to perform a relative import "),
    ],
)
def test_a_module_that_cannot_be_imported(nets, module, reason):
    with pytest.raises(ArgumentError) as error:
        zoo.build_custom(f"{module}:build")
    assert f"architecture '{module}:build': module '{module}' can't be imported: {reason}" in str(
        error.value
    )


def test_a_function_by_its_name(nets):
    assert zoo.custom.named_function(f"{nets}:needs_argument", "loss").__name__ == "needs_argument"
    for name, message in [
        ("nets", "loss names no module and function; write it as package.module:function"),
        (f"{nets}:", "loss names no module and function"),
        (f"{nets}:constant", "loss: 'constant' is an int, not something to call"),
        (f"{nets}:bild", f"loss: module '{nets}' has no 'bild'; did you mean build?"),
        ("no_such_module_here:f", "loss: there is no module 'no_such_module_here'"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            zoo.custom.named_function(name, "loss")
