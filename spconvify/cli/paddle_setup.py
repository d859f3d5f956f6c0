"""What has to be set before Paddle is loaded."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

from spconvify.engines.process import MKL_VARIABLE
from spconvify.errors import SpconvifyError
from spconvify.held_signals import TO_END, deaf_threads


def load_paddle() -> None:
    """Import Paddle without its notes, and with the fast matrix products of its MKL on AMD.

    The MKL that Paddle brings looks for an Intel processor and otherwise takes code that is three to
    four times slower. Processes that time a network don't inherit the setting: they run as Paddle is.

    Raises:
        ImportError: if Paddle isn't installed.
        SpconvifyError: if the current folder was deleted, or Paddle can't write into the home.
    """
    try:
        os.getcwd()  # which Paddle asks for when it is imported
    except OSError as error:
        raise SpconvifyError("the current folder isn't there any more; go to another one") from error
    warnings.filterwarnings("ignore", module=r"paddle\.")
    os.environ.setdefault("GLOG_minloglevel", "2")
    if _is_amd_with_avx2():
        os.environ.setdefault(MKL_VARIABLE, "5")
    # Paddle puts handlers of its own there. They abort the process, and no temporary file would go, or
    # hang for ever where one comes into an allocation. Until ours are back, a signal has to wait.
    # A Ctrl-C waits too: Paddle would say that it is installed wrongly. All other threads are deaf by
    # now: that of the spinner, and those of NumPy.
    handlers = {number: signal.getsignal(number) for number in TO_END}
    with deaf_threads():
        try:
            import paddle  # noqa: F401
        except OSError as error:
            raise SpconvifyError(
                f"Paddle can't be loaded: {error}; where that is a folder that it makes in your home, "
                "set HOME to another one"
            ) from error

        for number, handler in handlers.items():
            if handler is not None:  # somebody's in C, which can't be told from Paddle's
                signal.signal(number, handler)


def _is_amd_with_avx2() -> bool:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "AuthenticAMD" in text and " avx2 " in text
