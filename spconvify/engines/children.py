"""What a child process needs: this process's way of finding modules, and an end with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def module_path() -> str:
    """PYTHONPATH for a child that must import from wherever this process can."""
    return os.pathsep.join(map(os.path.abspath, sys.path))


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
