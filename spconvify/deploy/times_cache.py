"""Which form was fastest where: remembered in the user's cache folder."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from spconvify.files.regular import NotRegularError, open_regular, open_to_lock
from spconvify.files.scratch import atomic

try:
    import fcntl
except ImportError:  # Windows: writers aren't kept apart
    fcntl = None  # type: ignore[assignment]

Times = Mapping[str, float]  # form -> median ms
Content = dict[str, dict[str, Any]]
VERSION = 1  # of the file
_LARGEST = 16 << 20  # bytes; a layer takes some 300
_LONGEST_MS = 1e9
_PATIENCE_SECONDS = 10.0  # with another writer, who needs milliseconds


class TimesCache:
    """The cache file: times of forms by a layer's shape, and which whole networks confirmed them.

    Everything in it can be measured again. So what can't be read, or isn't as this version writes it,
    counts as empty; a file that can't be written is left; and without a place for one (a user without a
    home, say) nothing is remembered.
    """

    def __init__(self, path: Path | None = None):
        self.path = path or _usual_path()
        self._content = self._read()

    def _read(self) -> Content:
        if self.path is not None:
            # A damaged file can raise almost anything, a RecursionError too.
            with contextlib.suppress(Exception), open_regular(self.path) as file:
                text = file.read(_LARGEST + 1)
                if len(text) <= _LARGEST:
                    return _checked(json.loads(text))
        return {"layers": {}, "networks": {}}

    def times(self, key: str, forms: Collection[str] | None = None) -> Times | None:
        """The times of one layer's forms, if they were measured (of exactly `forms`, where given)."""
        times = self._content["layers"].get(key)
        return times if times is not None and forms in (None, set(times)) else None

    def confirmed(self, network: str) -> bool | None:
        """Whether the fastest forms were also fastest in the whole network; None: not tried."""
        return self._content["networks"].get(network)

    def remember(self, layers: Mapping[str, Times], networks: Mapping[str, bool]) -> None:
        """Add to the file, with what others have added since it was read."""
        known = self._content
        if self.path is not None:
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with _only_writer(self.path):
                    known = self._read()
                    _add(known, layers, networks)
                    with atomic(_place(self.path)) as file:
                        file.write(json.dumps({"version": VERSION, **known}, sort_keys=True).encode())
        _add(known, layers, networks)
        self._content = known


def _usual_path() -> Path | None:
    with contextlib.suppress(Exception):
        folder = Path(platformdirs.user_cache_dir("spconvify"))
        # Without a home the name begins with "~" or is relative: a folder of the current one, which is
        # anybody's.
        return folder / "forms.json" if folder.is_absolute() else None
    return None


def _place(path: Path) -> Path:
    """Where the file is: a user's link to it stays one."""
    return path.resolve() if path.is_file() else path


def _checked(content: Any) -> Content:
    """What is right in a file's content; all of it that `remember` has written."""
    if content["version"] != VERSION:
        return {"layers": {}, "networks": {}}
    layers, networks = content["layers"].items(), content["networks"].items()
    return {
        "layers": {key: times for key, times in layers if _are_times(times)},
        "networks": {key: value for key, value in networks if type(value) is bool},
    }


def _are_times(times: Any) -> bool:
    return isinstance(times, dict) and bool(times) and all(map(_is_time, times.values()))


def _is_time(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < _LONGEST_MS


def _add(content: Content, layers: Mapping[str, Times], networks: Mapping[str, bool]) -> None:
    content["layers"].update(layers)
    content["networks"].update(networks)


@contextlib.contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Keep other writers of `path` waiting; where nothing can be locked, go on without.

    Raises:
        TimeoutError: if another one doesn't come to an end.
    """
    try:
        descriptor = open_to_lock(path.with_name(f"{path.name}.lock"))
    except NotRegularError:
        yield
        return
    try:
        _wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    if fcntl is None:
        return
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError("another process holds the cache") from None
            time.sleep(0.01)
        except OSError:  # a file system without locks
            return
