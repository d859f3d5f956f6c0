"""The folder of an export: where it can be made, and which one it may replace."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from spconvify.engines import registry
from spconvify.engines.program_files import PARAMETERS, PROGRAM_SUFFIXES, STEM
from spconvify.errors import ArgumentError, Option, SpconvifyError
from spconvify.files.places import (
    Inputs,
    check_is_no_input,
    check_place,
    check_removable,
    check_utf8,
    place_of,
)
from spconvify.files.placing import put_folder
from spconvify.files.regular import open_regular
from spconvify.printable import json_text

MANIFEST = "manifest.json"
COMPANION_SUFFIXES = (".yml", ".yaml", ".txt", ".json")  # of what is carried over beside a program
_LARGEST_MANIFEST = 1 << 24
_NAMED = 3  # of the files that are in the way
_PART = 1 << 20  # bytes of a file that are in memory at once


def check_folder(target: Path, overwrite: bool, inputs: Inputs | None = None) -> None:
    """Refuse a place where the folder can't be made, or where that would destroy something.

    Args:
        target: the folder.
        overwrite: an earlier export may be replaced.
        inputs: what the command reads, by its name: never replaced, whatever `overwrite` says.

    Raises:
        ArgumentError: says what is there, and what to do.
    """
    try:
        _check_folder(target, overwrite, inputs or {})
    except OSError as error:
        raise ArgumentError(f"{target} can't be written: {error.strerror or error}") from error


def _check_folder(target: Path, overwrite: bool, inputs: Inputs) -> None:
    if not target.resolve().parent.is_dir():
        raise ArgumentError(f"{target.resolve().parent} isn't a folder; make it first")
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise ArgumentError(f"{target} exists and isn't a folder; choose another name")
    if target.exists() and target.samefile(os.curdir):
        raise ArgumentError(f"{target} is the current folder; choose the name of a new one")
    check_utf8(place_of(target), str(target))
    check_place(target, str(target))
    if target.exists():
        if not overwrite:
            raise ArgumentError(f"{target} exists; replace it with ", Option("overwrite", True))
        if not os.access(target, os.R_OK | os.W_OK | os.X_OK):
            raise ArgumentError(f"{target} can't be read and written; choose another name")
        check_earlier(target.resolve(), target)
        for name in os.listdir(target):
            check_removable(target.resolve() / name, str(target / name))
            check_is_no_input(target / name, str(target / name), inputs)


def check_earlier(folder: Path, shown: Path) -> None:
    """Refuse a folder that isn't an earlier export and nothing else; an empty one is fine.

    Args:
        folder: the one to look at.
        shown: its name in the error.

    Raises:
        ArgumentError: names what is in the way.
    """
    if folder.is_symlink():  # it was none when this began, or was followed then
        raise ArgumentError(f"{shown} became a link meanwhile, and is as it was; choose another name")
    entries = {entry.name: entry for entry in os.scandir(folder)}
    if not entries:
        return
    ours, checksums = exported_files(folder), _checksums(folder)
    if ours is None:
        raise ArgumentError(
            f"{shown} isn't from an earlier export: it holds {_some(entries)}, and no {MANIFEST} of "
            "spconvify; choose another name"
        )
    others = [name for name, entry in entries.items() if not _is_exported(entry, ours, checksums)]
    if others:
        raise ArgumentError(
            f"{shown} holds what no export left there: {_some(others)}; move it elsewhere, or choose "
            "another name"
        )


def exported_files(folder: Path) -> dict[str, int] | None:
    """The sizes, in bytes by name, of the files that an export wrote into `folder` beside its manifest.

    None if no export made that folder.
    """
    data = _manifest(folder)
    if not isinstance(data.get("spconvify"), str) or data.get("engine") not in registry.exporting():
        return None
    sizes = data.get("bytes")
    if not isinstance(sizes, dict) or not all(_may_be_ours(name, data.get("program")) for name in sizes):
        return None
    return sizes


def _manifest(folder: Path) -> dict[str, Any]:
    """What lies there as the manifest; empty where that is none."""
    try:
        if not stat.S_ISREG((folder / MANIFEST).lstat().st_mode):
            return {}
        with open_regular(folder / MANIFEST) as file:
            data = json.loads(file.read(_LARGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _checksums(folder: Path) -> Mapping[str, Any]:
    found = _manifest(folder).get("checksums")
    return found if isinstance(found, dict) else {}


def _checksum_of(path: Path) -> str:
    """Weights that were trained further, or another threshold, leave a file's size as it was."""
    found = hashlib.sha256()
    with open_regular(path) as file:
        while part := file.read(_PART):
            found.update(part)
    return found.hexdigest()


def _may_be_ours(name: str, program: Any) -> bool:
    """Whether an export writes files that are called so: its own, or a program and what goes with it."""
    if isinstance(program, str) and Path(program).suffix in PROGRAM_SUFFIXES:
        own = (program, f"{Path(program).stem}{PARAMETERS}")
        return name in own or Path(name).suffix in COMPANION_SUFFIXES
    return name.startswith(f"{STEM}.")


def put_in_place(folder: Path, target: Path, overwrite: bool, manifest: Mapping[str, Any]) -> None:
    """Make `folder` the export at `target`, which it was made beside, with its manifest.

    The manifest gets the checksums of its files, by which a changed one is known to be somebody's own.

    Raises:
        ArgumentError: if something has come into the way since `check_folder`; it is as it was.
        SpconvifyError: if it can't be put there.
    """
    check = partial(check_earlier, shown=target) if overwrite else None
    checksums = {file.name: _checksum_of(file) for file in sorted(folder.iterdir())}
    manifest = {**manifest, "checksums": checksums}
    try:
        (folder / MANIFEST).write_text(json_text(manifest) + "\n", "utf-8")
        put_folder(folder, target, check)
    except FileExistsError as error:
        raise ArgumentError(
            f"{target} exists: it came there during the export, and is as it was; choose another name"
        ) from error
    except OSError as error:
        problem = error.strerror or str(error)
        if error.errno == errno.EXDEV:  # overlayfs renames no folder of its lower layers
            problem = "it is part of a container's image; remove it first, or choose another name"
        raise SpconvifyError(f"can't write {target}: {problem}") from error


def _is_exported(
    entry: os.DirEntry[str], sizes: Mapping[str, int], checksums: Mapping[str, Any]
) -> bool:
    """Whether it is a file that the manifest lists; one that has changed is somebody's own by now."""
    if not entry.is_file(follow_symlinks=False):
        return False
    size = sizes.get(entry.name)
    found = entry.stat(follow_symlinks=False).st_size
    if entry.name == MANIFEST:
        return True
    if type(size) is not int or found != size:
        return False
    return entry.name not in checksums or checksums[entry.name] == _checksum_of(Path(entry.path))


def _some(names: Iterable[str]) -> str:
    """The first of them."""
    names = sorted(names)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more
