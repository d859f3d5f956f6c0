"""Which engines and devices there are here, and what a caption says of them."""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import importlib.util
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from spconvify.engines.patience import limit
from spconvify.errors import ArgumentError, EngineError, Option

ENGINES: Mapping[str, str] = {
    "inference": "Paddle Inference",
    "eager": "Paddle eager",
    "onnxruntime": "ONNX Runtime",
    "openvino": "Paddle Inference with OpenVINO",
    "tensorrt": "Paddle Inference with TensorRT",
}
_CPU, _INFERENCE = Option("device", "cpu"), Option("engine", "inference")
# What an engine needs beside Paddle; the extra "onnx" brings it.
_PACKAGES: Mapping[str, tuple[str, ...]] = {"onnxruntime": ("paddle2onnx", "onnxruntime")}


def check_engine(engine: str, device: str = "cpu") -> None:
    """Refuse an engine or a device that isn't there. Loads Paddle only to look for a GPU.

    Raises:
        ArgumentError: for a name that is unknown.
        EngineError: for a GPU that isn't there; it says what to do.
    """
    limit()  # of the time that its processes have
    if engine not in ENGINES:
        near = [name for name in ENGINES if engine and name.startswith(engine)]
        near += difflib.get_close_matches(engine, ENGINES, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ArgumentError(f"engine {engine!r} is unknown; {hint}use one of: {', '.join(ENGINES)}")
    for package in _PACKAGES.get(engine, ()):
        if importlib.util.find_spec(package) is None:
            raise EngineError(
                f"engine {engine} needs {package}, which isn't installed: pip install 'spconvify[onnx]'"
            )
    if engine == "openvino" and not _has_openvino():
        raise EngineError(
            "engine openvino needs Paddle 3 for the CPU, which brings OpenVINO with it: "
            "pip install 'spconvify[cpu]'; or use ",
            _INFERENCE,
        )
    if device == "cpu":
        if engine == "tensorrt":
            gpu = Option("device", "gpu:0")
            raise EngineError("engine tensorrt needs a GPU; use ", gpu, ", or ", _INFERENCE)
        return
    if not re.fullmatch(r"gpu:\d+", device):
        raise ArgumentError(f"device {device!r} is unknown; use cpu or gpu:0")
    if engine == "openvino":
        raise EngineError("engine openvino runs on the CPU; use ", _CPU, f", not {device}")
    import paddle

    if not paddle.is_compiled_with_cuda():
        raise EngineError(
            f"device {device}: this Paddle is built for the CPU; "
            "install 'spconvify[gpu]' instead of 'spconvify[cpu]', or use ",
            _CPU,
        )
    count = paddle.device.cuda.device_count()
    if gpu_index(device) >= count:
        raise EngineError(f"device {device} isn't there: Paddle sees {count} GPUs; use ", _CPU)
    if engine == "onnxruntime":
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise EngineError(
                f"device {device}: this ONNX Runtime is built for the CPU; install onnxruntime-gpu, "
                "or use ",
                _CPU,
            )


def _has_openvino() -> bool:
    """Whether the installed Paddle has OpenVINO's plugin for the CPU beside it. Doesn't load Paddle."""
    spec = importlib.util.find_spec("paddle")
    folders = spec.submodule_search_locations or [] if spec else []
    return any(any(Path(folder, "libs").glob("*openvino_intel_cpu_plugin*")) for folder in folders)


def usable_engines(device: str) -> list[str]:
    """The engines that there are here for `device`: what ``--engine all`` means."""
    usable = []
    for engine in ENGINES:
        with contextlib.suppress(EngineError):
            check_engine(engine, device)
            usable.append(engine)
    return usable


def gpu_index(device: str) -> int:
    """'gpu:1' -> 1."""
    return int(device.partition(":")[2])


def describe(engine: str, device: str = "cpu") -> dict[str, str]:
    """The facts for a caption: version of the engine, name of the processor, dtype."""
    import paddle

    name = cpu_name()
    if device != "cpu":
        name = paddle.device.cuda.get_device_name(gpu_index(device))
    version = paddle.__version__
    if engine == "onnxruntime":
        version = importlib.metadata.version("onnxruntime")
    return {"version": version, "processor": name, "dtype": "float32"}


def cpu_name() -> str:
    """The processor's model name, as the operating system knows it."""
    try:
        match = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    return match.group(1).strip() if match else platform.processor() or platform.machine()
