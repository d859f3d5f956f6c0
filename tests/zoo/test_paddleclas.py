"""PaddleClas's backbones: recognised without the package, built with it, nothing else of it loaded."""

import json
import sys

import paddle
import pytest

from spconvify import ArgumentError, convert, load, save, zoo
from spconvify.source.loading import open_source, shapes_of
from spconvify.zoo import paddleclas_table
from spconvify.zoo.paddleclas import PaddleClasArchitecture

BACKBONES = """
from paddle import nn
from ...utils import logger

class Net(nn.Layer):
    def __init__(self, class_num, width):
        super().__init__()
        logger._logger.warning("a backbone was built")
        self.stem = nn.Conv2D(3, width, 3, padding=1)
        self.body = nn.Conv2D(width, width, 3, padding=1, bias_attr=False)
        self.fc = nn.Linear(width, class_num)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean([2, 3]))

def Tiny(class_num=1000):
    return Net(class_num, 8)

def Wide(class_num=1000):
    return Net(class_num, 12)

def NoHead():
    return nn.Linear(2, 2)
"""
LOGGER = """
import logging
_logger = None
def init_logger(log_level):
    global _logger
    _logger = logging.getLogger("ppcls")
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in PaddleClas's form, whose top modules need what isn't installed."""
    root = tmp_path / "site" / "paddleclas"
    files = {
        "__init__.py": "import faiss_that_nobody_has",
        "ppcls/arch/__init__.py": "import faiss_that_nobody_has",
        "ppcls/arch/backbone/__init__.py": BACKBONES,
        "ppcls/utils/__init__.py": "import sklearn_that_nobody_has",
        "ppcls/utils/logger.py": LOGGER,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "paddleclas"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(root.parent))
    yield root
    for name in [name for name in sys.modules if name.split(".")[0] == "paddleclas"]:
        del sys.modules[name]


@pytest.fixture
def table(package, monkeypatch, tmp_path):
    """The table of that package."""
    monkeypatch.setattr(paddleclas_table, "PATH", tmp_path / "table.json")
    paddleclas_table._table.cache_clear()
    paddleclas_table.main()
    yield json.loads((tmp_path / "table.json").read_text())
    paddleclas_table._table.cache_clear()


def test_the_table_says_what_classes_and_channels_change(table):
    assert set(table) == {"Tiny", "Wide"}
    assert table["Tiny"][1:] == [["fc.weight"], "stem.weight"]
    assert table["Tiny"][0] != table["Wide"][0]


@pytest.mark.parametrize("fusion", [None, "gap", "sum"])
def test_a_checkpoint_is_recognised_and_loaded(table, tmp_path, fusion):
    network = PaddleClasArchitecture("paddleclas:Wide", 37, 5).build()
    if fusion:
        network = convert(network, fusion=fusion, inplace=True)
    path = save(network, tmp_path / "x.pdparams")
    found = open_source(str(path)).architecture
    assert (found.name, found.num_classes, found.in_channels) == ("paddleclas:Wide", 37, 5)
    assert found.input_shape == (1, 5, 224, 224)
    x = paddle.randn([1, 5, 8, 8])
    for arch in (None, "paddleclas:Wide"):
        loaded = load(path, arch)
        loaded.eval()
        network.eval()
        assert (loaded(x) == network(x)).all()


def test_the_whole_package_is_still_there_to_import(package):
    PaddleClasArchitecture("paddleclas:Tiny").build()
    assert "paddleclas" not in sys.modules
    with pytest.raises(ImportError, match="faiss_that_nobody_has"):
        __import__("paddleclas")


def test_wrong_names(package):
    with pytest.raises(ArgumentError, match=r"no backbone 'Tinny'; did you mean paddleclas:Tiny\?"):
        zoo.resolve("paddleclas:Tinny").build()
    with pytest.raises(ArgumentError, match="can't be built with 1000 classes: TypeError"):
        zoo.resolve("paddleclas:NoHead").build()


def test_without_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "paddleclas.ppcls.arch.backbone", raising=False)
    with pytest.raises(ArgumentError, match="needs PaddleClas: pip install --no-deps paddleclas"):
        zoo.resolve("paddleclas:HRNet_W18_C").build()


def test_the_shipped_table_is_searched_last(monkeypatch):
    """A network of the catalogue stays one, and PaddleClas's is named without the package."""
    shapes = shapes_of(zoo.find("resnet18", 5).build(lazy=True).state_dict())
    assert zoo.identify(shapes).name == "resnet18"
    assert len(paddleclas_table._table()) > 300
    name, (checksum, heads, stem) = "paddleclas:X", ("0" * 16, ["fc.weight"], "stem.weight")
    monkeypatch.setattr(paddleclas_table, "_table", lambda: {name: (checksum, heads, stem)})
    monkeypatch.setattr(paddleclas_table, "_checksum", lambda shapes, free: checksum)
    found = zoo.identify({"stem.weight": (4, 3, 3, 3), "fc.weight": (4, 9)})
    assert (found.name, found.num_classes, found.in_channels) == (name, 9, 3)


def test_a_narrowed_one_that_is_named_keeps_its_classes_and_channels():
    """Its checksum isn't that of the backbone, and is none of another one."""
    shapes = {
        "stem.0.conv.weight": (32, 4, 3, 3),
        "blocks.0.weight": (5, 32, 3, 3),
        "fc.weight": (512, 9),
    }
    found = zoo.identify(shapes, "paddleclas:ResNet18")
    assert (found.name, found.num_classes, found.in_channels) == ("paddleclas:ResNet18", 9, 4)
    found = zoo.identify({"blocks.0.weight": (5, 32, 3, 3)}, "paddleclas:ResNet18")
    assert (found.num_classes, found.in_channels) == (1000, 3)
