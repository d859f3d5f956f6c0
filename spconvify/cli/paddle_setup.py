"""What has to be set before Paddle is loaded."""

from __future__ import annotations

import os
import signal
import warnings
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
    on_termination = signal.getsignal(signal.SIGTERM)
    import paddle  # noqa: F401

    # Paddle puts a handler of its own there that aborts the process: no temporary file would go.
    signal.signal(signal.SIGTERM, on_termination)


def _is_amd_with_avx2() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in text and " avx2 " in text
