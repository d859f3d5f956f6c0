"""Networks that the catalogue doesn't hold: ``--arch package.module:factory``."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any, Callable

from spconvify.errors import ArgumentError
from spconvify.imports import trust
from spconvify.printable import said
from spconvify.zoo.architecture import Architecture, find
from spconvify.zoo.catalogue import near
from spconvify.zoo.named import module_and_name
from spconvify.zoo.paddleclas import PREFIX, PaddleClasArchitecture

if TYPE_CHECKING:
    from paddle import nn


@dataclass(frozen=True)
class CustomArchitecture:
    """A network that a function of the user builds; `name` is ``package.module:factory``."""

    name: str

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """(1, 3, 224, 224): a guess, since a network doesn't tell the input it was designed for."""
        return (1, 3, 224, 224)

    def build(self, lazy: bool = False) -> nn.Layer:
        """Call the factory, see `build_custom`; never lazily, since it may compute with its weights."""
        return build_custom(self.name)


def resolve(arch: str) -> Architecture | PaddleClasArchitecture | CustomArchitecture:
    """What ``--arch`` stands for: a name, ``paddleclas:BACKBONE`` or ``package.module:factory``.

    Raises:
        ArgumentError: if it is a name and an unknown one; it gives the nearest ones.
    """
    if arch.startswith(PREFIX):
        return PaddleClasArchitecture(arch)
    return CustomArchitecture(arch) if ":" in arch else find(arch)


def build_custom(arch: str) -> nn.Layer:
    """Build a network by calling ``package.module:factory`` without arguments.

    A factory may return ``(network, example)``: a tensor or an array, or a tuple or dictionary of such,
    which stays with the network and is what it is run on (see `spconvify.network.examples`).

    Modules of the current directory are found, if the first part of `arch` is there; those that the
    network imports when it is run, too.

    Raises:
        ArgumentError: if `arch` has another form, the module or the factory isn't there or fails, or
            the factory returns something that isn't a ``paddle.nn.Layer``, or a pair of one and an
            example of its input.
    """
    label = f"architecture {arch!r}"
    module_name, factory_name = module_and_name(arch, label, "factory")
    with _current_directory_on_path(module_name.partition(".")[0]):
        remedy = "name a function or a class that builds the network"
        return _network(arch, _to_call(label, _import(label, module_name), factory_name, remedy))


def named_function(name: str, label: str) -> Callable[..., Any]:
    """The function that ``package.module:function`` names, found as `build_custom` finds a factory.

    Args:
        name: of the module and the function.
        label: what errors call it.

    Raises:
        ArgumentError: if `name` has another form, or the module or the function isn't there.
    """
    module_name, function_name = module_and_name(name, label, "function")
    with _current_directory_on_path(module_name.partition(".")[0]):
        remedy = "name a function"
        return _to_call(label, _import(label, module_name), function_name, remedy)


def module_files(arch: str | None) -> dict[str, str]:
    """The files that ``package.module:factory`` is read from, by the module's name; nothing is run.

    Empty for what names no module, or one that isn't there.
    """
    found: dict[str, str] = {}
    if arch is None or ":" not in arch or arch.startswith(PREFIX):
        return found
    folders: Any = [_current_directory() or os.sep, *sys.path]
    name = ""
    for part in arch.partition(":")[0].split("."):
        name = f"{name}.{part}" if name else part
        spec = None
        with contextlib.suppress(Exception):  # a name that no module can have
            spec = PathFinder.find_spec(name, folders)
        if spec is None:
            break
        if spec.origin and spec.has_location:
            found[name] = spec.origin
        folders = list(spec.submodule_search_locations or [])
    return found


@contextlib.contextmanager
def _current_directory_on_path(package: str) -> Iterator[None]:
    """Look for modules in the current directory first, if it is where `package` is.

    Otherwise the user doesn't mean this directory, and what lies in it isn't to run.
    """
    directory = _current_directory()
    if not directory or not _is_of(directory, package):
        yield
        return
    sys.path.insert(0, directory)
    try:
        yield
        trust(directory)
    finally:
        # A module may have changed the path itself: take away what was added here, and no more.
        with contextlib.suppress(ValueError):
            sys.path.remove(directory)


def _current_directory() -> str | None:
    with contextlib.suppress(OSError):  # it was deleted
        return os.getcwd()
    return None


def _is_of(directory: str, package: str) -> bool:
    """Whether `package` is a module of `directory`: is loaded from there, or would be."""
    spec = getattr(sys.modules.get(package), "__spec__", None)
    with contextlib.suppress(Exception):  # a name that no module can have
        spec = spec or PathFinder.find_spec(package, [directory])
    if spec is None:
        return False
    places = [spec.origin, *(spec.submodule_search_locations or [])]
    return any(place and os.path.abspath(place).startswith(directory.rstrip(os.sep) + os.sep)
               for place in places)  # fmt: skip


def _import(label: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit of a script that runs its command line, for one
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise ArgumentError(
                f"{label}: there is no module {missing!r}, neither installed nor in "
                f"{_current_directory()}; run spconvify from the folder that holds it"
            ) from error
        raise ArgumentError(
            f"{label}: module {module_name!r} can't be imported: {_described(error)}; "
            f"try python -c 'import {module_name}'"
        ) from error


def _to_call(label: str, module: ModuleType, name: str, remedy: str) -> Callable[..., Any]:
    from paddle import nn

    if not hasattr(module, name):
        nearest = near(name, [known for known in vars(module) if not known.startswith("_")])
        near_ones = (
            f"did you mean {' or '.join(nearest)}?" if nearest else "name a function that it holds"
        )
        raise ArgumentError(f"{label}: module {module.__name__!r} has no {name!r}; {near_ones}")
    found: Callable[..., Any] = getattr(module, name)
    # A network is callable, yet calling it would run its forward; a loss that is a layer is made for it.
    if (isinstance(found, nn.Layer) and not label.startswith("loss")) or not callable(found):
        raise ArgumentError(f"{label}: {name!r} is {_a(found)}, not something to call; {remedy}")
    return found


def _network(arch: str, factory: Any) -> nn.Layer:
    import paddle

    try:
        with paddle.utils.unique_name.guard():
            network = factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise ArgumentError(
            f"architecture {arch!r}: calling it without arguments failed: {_described(error)}; "
            "name a function that needs no argument and returns the network"
        ) from error
    network, example = _apart(network)
    if isinstance(network, paddle.Model):
        raise ArgumentError(
            f"architecture {arch!r} returned a paddle.Model; return its .network instead"
        )
    if not isinstance(network, paddle.nn.Layer):
        raise ArgumentError(
            f"architecture {arch!r} returned {_a(network)}; return the network, a paddle.nn.Layer"
        )
    if example is not None:
        _hold(arch, network, example)
    return network


def _apart(made: Any) -> tuple[Any, Any]:
    """The network, and the example of its input that came with it, if one did."""
    from paddle import nn

    pair = isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Layer)
    return (made[0], made[1]) if pair else (made, None)


def _hold(arch: str, network: nn.Layer, example: Any) -> None:
    from spconvify.network.examples import ExampleError, hold_example

    try:
        hold_example(network, example)
    except ExampleError as error:
        raise ArgumentError(f"architecture {arch!r}: ", error) from error
    except (ArgumentError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"architecture {arch!r} returned a network and {_a(example)}; the second of the two is an "
            "example of its input: a tensor or an array, or a tuple or dictionary of such"
        ) from error


def _described(error: BaseException) -> str:
    """The error in one line: Paddle's go on for several."""
    lines = said(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _a(thing: Any) -> str:
    if thing is None:
        return "None"
    kind = type(thing).__name__
    return f"{'an' if kind[0].lower() in 'aeiou' or kind == 'ndarray' else 'a'} {kind}"
