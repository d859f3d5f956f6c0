"""Variables with which a process keeps its memory, and how much there is for it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# A server keeps its memory, so timed networks do. By default glibc gives large blocks back to the system
# after every run and fetches them again, page by page, in some processes and not in others; and Paddle
# has a second thread free every tensor as soon as it is used up, which costs networks of many small
# operators most (`benchmarks/latency.py --free-tensors`). The user's own settings come first.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
KEEP_TENSORS = {"FLAGS_eager_delete_tensor_gb": "-1"}
_MEMINFO = Path("/proc/meminfo")


def available() -> int | None:
    """The bytes that a new process could take now without anybody else losing some; None if unknown.

    Where the system tells only how much there is altogether, that.
    """
    with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None
