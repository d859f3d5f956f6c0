"""What has to be set before Paddle is loaded."""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path

from spconvify.engines.process import MKL_VARIABLE


def load_paddle() -> None:
    """Import Paddle without its notes, and with the fast matrix products of its MKL on AMD.

    The MKL that Paddle brings looks for an Intel processor and otherwise takes code that is three to
    four times slower. Processes that time a network don't inherit the setting: they run as Paddle is.

    Raises:
        ImportError: if Paddle isn't installed.
    """
    warnings.filterwarnings("ignore", module=r"paddle\.")
    os.environ.setdefault("GLOG_minloglevel", "2")
    if _is_amd_with_avx2():
        os.environ.setdefault(MKL_VARIABLE, "5")
    # Paddle puts a handler of its own there. It aborts the process, and no temporary file would go, or
    # hangs for ever where it comes into an allocation. Until ours is back, a signal has to wait.
    on_termination = signal.getsignal(signal.SIGTERM)
    with _waiting(signal.SIGTERM):
        import paddle  # noqa: F401

        signal.signal(signal.SIGTERM, on_termination)


@contextlib.contextmanager
def _waiting(number: signal.Signals) -> Iterator[None]:
    """Deliver the signal at the end, to this thread; those started meanwhile never get it."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _is_amd_with_avx2() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in text and " avx2 " in text
