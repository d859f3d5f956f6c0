"""Devices: which there are, and the processor's name. Loads Paddle only to look for a GPU."""

from __future__ import annotations

import platform
import re
from pathlib import Path

from spconvify.errors import ArgumentError, EngineError, Option

CPU = Option("device", "cpu")


def kind_of(device: str) -> str:
    """ "cpu" or "gpu".

    Raises:
        ArgumentError: if it is neither "cpu" nor like "gpu:0".
    """
    if device == "cpu":
        return device
    if not re.fullmatch(r"gpu:\d+", device):
        raise ArgumentError(f"device {device!r} is unknown; use cpu or gpu:0")
    return "gpu"


def gpu_index(device: str) -> int:
    """'gpu:1' -> 1."""
    return int(device.partition(":")[2])


def check_gpu(device: str) -> None:
    """Refuse a GPU that isn't there for Paddle.

    Raises:
        EngineError: says what to do.
    """
    import paddle

    if not paddle.is_compiled_with_cuda():
        raise EngineError(
            f"device {device}: this Paddle is built for the CPU; "
            "install 'spconvify[gpu]' instead of 'spconvify[cpu]', or use ",
            CPU,
        )
    count = paddle.device.cuda.device_count()
    if gpu_index(device) >= count:
        raise EngineError(f"device {device} isn't there: Paddle sees {count} GPUs; use ", CPU)


def processor(device: str) -> str:
    """The model name of the processor or of the GPU."""
    if device == "cpu":
        return _cpu_name()
    import paddle

    return paddle.device.cuda.get_device_name(gpu_index(device))


def _cpu_name() -> str:
    """As the operating system knows it."""
    try:
        match = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1).strip() if match else platform.processor() or platform.machine()
