"""Start a child process: nothing of the current folder runs in it, and it ends with its parent.

Every child begins here. It starts in a folder of ours, looks for modules where `installed_path` says,
has the very same spconvify as its parent, and gets its job through its input, so that neither an
environment variable nor a file that is called like a module decides what it runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import spconvify
from spconvify.engines.patience import SLICE_SECONDS, Patience
from spconvify.errors import EngineError
from spconvify.files.scratch import scratch_folder
from spconvify.imports import AsInParent, full_path, installed_path, own_modules

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# Before Python 3.11 there is no -P: an entry '' of the path is the current folder.
_BOOT = """
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import json, importlib.util
start = json.loads(sys.stdin.readline())
sys.path[:] = start["path"]
spec = importlib.util.spec_from_file_location("spconvify", start["package"])
sys.modules["spconvify"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from spconvify.engines import children
children.begin(start)
"""
# What would have Python run a file, wait for a terminal, or write its pipes in other letters.
_LEFT_OUT = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONBREAKPOINT")
_TEMPORARY = ("TMPDIR", "TEMP", "TMP")  # where programs put temporary files
_ENCODING = "utf-8"
_SECONDS_TO_DIE = 10.0
_start: dict[str, Any] = {}  # in a child: what its parent said


def start(
    module: str, job: Mapping[str, Any], folder: Path, variables: Mapping[str, str], errors: IO[bytes]
) -> subprocess.Popen[str]:
    """Start ``module.main(job)`` in a process of its own; its input and output are pipes.

    Args:
        module: of spconvify.
        job: anything that JSON takes.
        folder: where it starts; one of ours.
        variables: the environment.
        errors: where its stderr goes.

    Raises:
        EngineError: if no process can be started.
    """
    process = _popen(module, folder, variables, errors)
    # A child that doesn't read must not keep its parent from noticing.
    threading.Thread(target=_tell, args=(process, _message(module, job)), daemon=True).start()
    return process


@contextlib.contextmanager
def own_temporary(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """An environment with a place for temporary files in which nobody else can have put anything.

    ONNX Runtime writes into a file of a fixed name there as soon as it is imported: through a link that
    somebody has put in its place, and a FIFO would keep it waiting.

    Raises:
        SpconvifyError: if the system has no place for temporary files.
    """
    with scratch_folder() as folder:
        yield {**variables, **dict.fromkeys(_TEMPORARY, str(folder))}


def run(
    module: str, job: Mapping[str, Any], folder: Path, variables: Mapping[str, str]
) -> tuple[int, str]:
    """Run ``module.main(job)`` like `start`, to its end: the exit code, and all that it has written.

    Raises:
        EngineError: if no process can be started, or it does nothing any more; it has been killed then.
    """
    with own_temporary(variables) as own:
        return _run(module, job, folder, own)


def _run(
    module: str, job: Mapping[str, Any], folder: Path, variables: Mapping[str, str]
) -> tuple[int, str]:
    process = _popen(module, folder, variables, subprocess.PIPE)
    try:
        patience = Patience(process.pid)
        message: str | None = _message(module, job)
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                said = process.communicate(message, SLICE_SECONDS)
                return process.returncode, "\n".join(said)
            message = None  # on its way; it can be given once only
            patience.check()
    finally:
        end(process)


def end(process: subprocess.Popen[str], seconds: float = 0.0) -> int:
    """Kill a process unless it ends by itself within `seconds`; its exit code."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(seconds)
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # one that waits for a dead disk can't end
        return process.wait(_SECONDS_TO_DIE)
    return -1


def _popen(
    module: str, folder: Path, variables: Mapping[str, str], errors: IO[bytes] | int
) -> subprocess.Popen[str]:
    if _start:  # each would start the next, without end
        raise EngineError(
            "a network's module runs networks when it is imported; put that under "
            "if __name__ == '__main__'"
        )
    isolated = {name: value for name, value in variables.items() if name not in _LEFT_OUT}
    isolated |= {"PYTHONSAFEPATH": "1", "PYTHONIOENCODING": _ENCODING}
    flags = ["-P"] if sys.version_info >= (3, 11) else []
    try:
        return subprocess.Popen(
            [sys.executable, *flags, "-c", _BOOT, module],  # the last for whoever looks at processes
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=folder,
            env=isolated,
            encoding=_ENCODING,
            errors="replace",
        )
    except OSError as error:
        raise EngineError(f"a process of its own can't be started: {error.strerror or error}") from error


def _message(module: str, job: Mapping[str, Any]) -> str:
    message = {
        "module": module,
        "job": dict(job),
        "parent": os.getpid(),
        "package": os.path.abspath(spconvify.__file__),
        "path": installed_path(),
        "full_path": full_path(),
        "own_modules": own_modules(),
        "cwd": _current_folder(),
    }
    return json.dumps(message) + "\n"


def _tell(process: subprocess.Popen[str], message: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended, which its output tells
        assert process.stdin is not None
        process.stdin.write(message)
        process.stdin.flush()


def _current_folder() -> str | None:
    with contextlib.suppress(OSError):  # it was deleted
        return os.getcwd()
    return None


def begin(message: dict[str, Any]) -> None:
    """In the child: run what the parent asks for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to both; the parent ends this one
    end_with(message["parent"])
    _start.update(message)
    importlib.import_module(message["module"]).main(message["job"])


def become_like_parent() -> None:
    """In the child: go to the parent's folder, and find a network's own modules as the parent does.

    Nothing happens in a process that `start` didn't start.
    """
    if _start:
        sys.meta_path.insert(0, AsInParent(_start["own_modules"]))
        sys.path[:] = _start["full_path"]
        with contextlib.suppress(OSError, TypeError):
            os.chdir(_start["cwd"])


def import_as_in_parent(module: str) -> None:
    """Import a module, and what it imports, from exactly where the parent has found them.

    Nothing else of the parent's folders is looked into.
    """
    if _start:
        sys.meta_path.insert(0, AsInParent(_start["own_modules"]))
    importlib.import_module(module)


def end_with(parent: int) -> None:
    """Let the kernel end this process when `parent`, the process that started it, ends.

    Its input ending tells a child the same, but not while it loads a network or converts one, which can
    take minutes and hold Python's lock throughout. Only Linux has this; elsewhere such a child goes on
    until it looks at its input.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the kernel knew
        os._exit(1)
