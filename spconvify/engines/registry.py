"""The engines by name. Needs no Paddle.

To add one: a module with an `Engine` as its `ENGINE` and its name in `BuiltIn`; or, from anywhere, a
module that calls `register` when it is imported.
"""

from __future__ import annotations

import difflib
import sys
from importlib import import_module
from typing import Literal, Union, get_args

from spconvify.engines.base import Engine
from spconvify.errors import ArgumentError, EngineError

# Each is in the module of this folder that is called so.
BuiltIn = Literal["inference", "eager", "openvino", "onnxruntime", "tensorrt"]
EngineName = Union[BuiltIn, str]  # or one that was registered

_BUILT_IN: tuple[str, ...] = get_args(BuiltIn)
_registered: dict[str, Engine] = {}
_homes: dict[str, str] = {}  # the modules that have registered them


def register(engine: Engine) -> Engine:
    """Make an engine known under its name; one registered before under that name is replaced.

    Call it where a module is imported: a process that runs a network imports that very module again.

    Raises:
        ArgumentError: if it has the name of one of spconvify's own.
    """
    if engine.name in _BUILT_IN:
        raise ArgumentError(f"engine {engine.name!r} is spconvify's own; choose another name")
    _registered[engine.name] = engine
    _homes[engine.name] = sys._getframe(1).f_globals.get("__name__", "__main__")
    return engine


def names() -> list[str]:
    """Of all engines, the package's own first."""
    return [*_BUILT_IN, *_registered]


def exporting() -> list[str]:
    """Names of the engines whose files are for a server, too."""
    return [name for name in names() if engine(name).exports]


def engine(name: EngineName) -> Engine:
    """The engine of that name.

    Raises:
        ArgumentError: if there is none; names those that there are, and the nearest.
    """
    if name in _BUILT_IN:
        return import_module(f"spconvify.engines.{name}").ENGINE
    if name in _registered:
        return _registered[name]
    near = [known for known in names() if name and known.startswith(name)]
    near += difflib.get_close_matches(name, names(), 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ArgumentError(f"engine {name!r} is unknown; {hint}use one of: {', '.join(names())}")


def label(name: EngineName) -> str:
    """What tables call an engine: its name where it isn't registered here."""
    return engine(name).label if name in names() else name


def home(name: EngineName) -> str | None:
    """The module that another process has to import to know the engine; None for spconvify's own.

    Raises:
        EngineError: if that is the main script, which another process hasn't.
    """
    module = _homes.get(name)
    if module == "__main__":
        raise EngineError(f"engine {name!r} is registered in the main script; do that in a module")
    return module
