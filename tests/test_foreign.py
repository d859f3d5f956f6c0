"""The matrix of other people's networks: its table, and its stubs."""

import importlib
import sys
import zipfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import foreign_packages
from foreign_checks import CHECKS
from foreign_networks import NETWORKS
from foreign_table import is_wrong, table

RIGHT = dict.fromkeys(CHECKS, "right")
COUNTED = {"sizes": [64, 75], "convolutions": 5, "eligible": 3, "share": 0.5}


def test_a_reason_stands_below_the_table_once():
    refused = {**COUNTED, "checks": {**RIGHT, "json": "refused: no", "pdmodel": "refused: no"}}
    text = table({"one": {**COUNTED, "checks": RIGHT}, "other": refused})
    assert text.count("refused (1)") == 2
    assert text.endswith("\n1. no\n")
    assert f"run on 2 of {len(NETWORKS)} networks" in text
    assert "| one | 64, 75 | 5 | 3 | 50% | right |" in text


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({"checks": RIGHT}, False),
        ({"checks": {**RIGHT, "gap": "refused: no"}}, False),
        ({"checks": {**RIGHT, "gap": "wrong: off by 1"}}, True),
        ({"checks": RIGHT, "error": "not done in 9 s"}, True),
    ],
)
def test_what_is_refused_is_not_wrong(row, wrong):
    assert is_wrong(row) is wrong


def test_a_package_is_imported_from_its_wheel_with_stubs_for_the_rest(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "made-1.whl", "w") as wheel:
        wheel.writestr("made_for_a_test/__init__.py", "from pycocotools.mask import encode\n")
        wheel.writestr("made_for_a_test/large.dll", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(foreign_packages, "BARE", ())
    unpacked = foreign_packages.unpack(tmp_path)
    foreign_packages.make_importable(unpacked)
    with monkeypatch.context() as patch:
        for name in ("made_for_a_test", "pycocotools", "pycocotools.mask"):
            patch.delitem(sys.modules, name, raising=False)
        assert importlib.import_module("made_for_a_test").encode.__name__ == "encode"
        for name in ("made_for_a_test", "pycocotools", "pycocotools.mask"):
            sys.modules.pop(name)
    assert not (unpacked / "made_for_a_test" / "large.dll").exists()


def test_without_wheels_it_says_how_they_are_had(tmp_path):
    with pytest.raises(SystemExit, match="pip download --no-deps -d"):
        foreign_packages.unpack(tmp_path)
