"""Where modules are found: by a child process, and by a network that was built from a folder's module.

A child imports what is installed from where this process has it, and nothing from a folder that happens
to be the current one. A network's own modules it finds exactly where this process has found them.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

Places = Mapping[str, Any]  # module -> [its file or None, the folders of a package or None]
_MADE_OF = ("paddle", "numpy")  # a child must have the very same ones
_folders: list[str] = []  # whose modules a user has named


def trust(folder: str) -> None:
    """Find modules of `folder` too, after everywhere else: a network may import some when it is run."""
    if folder not in _folders:
        _folders.append(folder)
    if not any(isinstance(finder, _InFolders) for finder in sys.meta_path):
        sys.meta_path.append(_InFolders())


class _InFolders:
    """The last of ``sys.meta_path``: modules of the folders that are trusted."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As importlib asks; a package's modules are found by the package."""
        return PathFinder.find_spec(name, _folders) if path is None else None


def full_path() -> list[str]:
    """``sys.path`` without relative entries, the trusted folders last."""
    entries = []
    for entry in (*sys.path, *_folders):
        with contextlib.suppress(OSError, TypeError):  # no current folder any more; no text
            entries.append(os.path.abspath(os.fspath(entry)))
    return [entry for entry in dict.fromkeys(entries) if isinstance(entry, str)]


def installed_path() -> list[str]:
    """`full_path` for what is installed: without the current folder and a script's, others last."""
    entries = full_path()
    first = _installed(entries)
    left_out = {os.path.realpath(folder) for folder in (*_current_folders(), *_folders)}
    others = [e for e in entries if e not in first and os.path.realpath(e) not in left_out]
    return first + others


def _installed(entries: Sequence[str]) -> list[str]:
    """Those that hold Python's own modules, installed packages, or the Paddle that is loaded."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    roots = [sysconfig.get_path(name) for name in names]
    roots += getattr(site, "getsitepackages", list)()
    with contextlib.suppress(Exception):  # a system without home folders
        roots.append(site.getusersitepackages())
    loaded = [getattr(sys.modules.get(name), "__file__", None) for name in _MADE_OF]
    holders = {os.path.dirname(os.path.dirname(file)) for file in loaded if file}
    archives = {f"{os.path.dirname(root)}{os.sep}python{sys.version_info[0]}{sys.version_info[1]}.zip"
                for root in roots[:2]}  # fmt: skip
    return [e for e in entries if e in holders | archives or _is_in(e, filter(None, roots))]


def _is_in(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip(os.sep) + os.sep) for folder in folders)


def _current_folders() -> list[str]:
    """Where this process is, and where the script lies that it runs."""
    folders = []
    with contextlib.suppress(OSError):
        folders.append(os.getcwd())
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    if script:
        folders.append(os.path.dirname(os.path.abspath(script)))
    return folders


def own_modules() -> dict[str, list[Any]]:
    """Where every module was found that isn't an installed one."""
    installed = _installed(full_path())
    places = {}
    for name, module in list(sys.modules.items()):
        spec = getattr(module, "__dict__", {}).get("__spec__")
        if not isinstance(spec, ModuleSpec) or name.partition(".")[0] in ("__main__", "spconvify"):
            continue
        folders = list(spec.submodule_search_locations or []) or None
        file = spec.origin if spec.origin and os.path.isfile(spec.origin) else None
        place = file or (folders[0] if folders else None)
        if place and not _is_in(place, installed):
            places[name] = [file, folders]
    return places


class AsInParent:
    """The first of a child's ``sys.meta_path``: `own_modules` of its parent."""

    def __init__(self, places: Places):
        self._places = places

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As importlib asks."""
        file, folders = self._places.get(name, (None, None))
        if file is not None:
            return importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
        if folders is None:
            return None
        spec = ModuleSpec(name, None, is_package=True)  # a package without a file of its own
        spec.submodule_search_locations = folders
        return spec
