"""Engine "onnxruntime": ONNX Runtime on the network's ONNX file."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from spconvify.engines import children
from spconvify.engines.base import Engine, HandOver
from spconvify.engines.devices import CPU, gpu_index
from spconvify.engines.feeds import Shapes, Values, by_name, described
from spconvify.engines.memory import KEEP_MEMORY
from spconvify.engines.program_files import program_files
from spconvify.errors import EngineError, PlainFileWarning

if TYPE_CHECKING:
    import numpy as np
    from paddle import nn

FILE = "model.onnx"
_OPSET = 14
_PACKAGES = ("paddle2onnx", "onnxruntime")  # the extra "onnx" brings them


class OnnxRuntime(Engine):
    """ONNX Runtime; the file is ``model.onnx``."""

    name, label = "onnxruntime", "ONNX Runtime"
    exports = True
    rounding_of_one = 2**-21  # four times float32's; measured are 0.8 times

    def check_installed(self) -> None:
        """It and the converter are packages of their own."""
        for package in _PACKAGES:
            if importlib.util.find_spec(package) is None:
                raise EngineError(
                    f"engine {self.name} needs {package}, which isn't installed: "
                    "pip install 'spconvify[onnx]'"
                )

    def check(self, device: str = "cpu") -> None:
        """A GPU needs another package, too."""
        super().check(device)
        if device == "cpu":
            return
        if not _is_for_gpus():
            raise EngineError(
                f"device {device}: this ONNX Runtime is built for the CPU; install onnxruntime-gpu, "
                "or use ",
                CPU,
            )

    def version(self) -> str:
        """ONNX Runtime's own."""
        from importlib.metadata import version

        return version("onnxruntime")

    def memory(self, device: str = "cpu") -> Mapping[str, str]:
        """It has no tensors of Paddle's."""
        return KEEP_MEMORY

    def write(self, network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
        """Convert a trace to ONNX. Splits of channels are divided among the convolutions before them
        where that is faster: `onnx_parts`."""
        from spconvify.engines import tracing

        tracing.write(network, folder, input_shape)
        _warn_of_plain(type(network).__name__, _convert(type(network).__name__, folder, input_shape))
        for file in program_files(folder):
            file.unlink()

    def write_all(self, networks: Sequence[HandOver]) -> dict[int, EngineError]:
        """The converter takes seconds to start: all traces are converted by one, as long as it lives."""
        from spconvify.engines import tracing

        problems, traced = {}, {}
        for place, one in enumerate(networks):
            try:
                network = one.network()
                tracing.write(network, one.folder, one.input_shape)
                traced[place] = type(network).__name__
            except EngineError as problem:
                problems[place] = problem
        waiting = list(traced)
        while waiting:
            done = _convert_all([networks[place] for place in waiting])
            if done < len(waiting):
                place = waiting[done]
                try:  # by itself, for what is wrong with it
                    _convert(traced[place], networks[place].folder, networks[place].input_shape)
                except EngineError as problem:
                    problems[place] = problem
            waiting = waiting[done + 1 :]
        for place in traced:
            for file in program_files(networks[place].folder):
                file.unlink()
        return problems

    def load(
        self, folder: Path, values: Values, threads: int = 1, device: str = "cpu"
    ) -> Callable[[], list[np.ndarray]]:
        """A session on the exported file."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        providers: list[Any] = ["CPUExecutionProvider"]
        if device != "cpu":
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": gpu_index(device)}))
        session = onnxruntime.InferenceSession(str(folder / FILE), options, providers=providers)
        feeds = by_name(values, [tensor.name for tensor in session.get_inputs()])
        return lambda: session.run(None, feeds)

    def load_hint(self, folder: Path, files: Sequence[str], how: Mapping[str, Any]) -> Sequence[str]:
        """A session."""
        return [f'onnxruntime.InferenceSession("{folder / FILE}")']


def _is_for_gpus() -> bool:
    """Whether it brings what runs networks on GPUs; importing it here would do what a child may only.

    See `spconvify.engines.children.own_temporary`.
    """
    spec = importlib.util.find_spec("onnxruntime")
    folders = spec.submodule_search_locations if spec else None
    return any(any(Path(place, "capi").glob("*providers_cuda*")) for place in folders or ())


def _convert(network: str, folder: Path, input_shape: Shapes) -> str:
    """Have the converter write `FILE` of the program in `folder`; what it has printed."""
    from spconvify.engines.onnx_converter import among, problem_in

    try:
        code, said = _run_converter(_job(folder, input_shape), folder)
    except EngineError as problem:
        raise EngineError(f"{network} can't be written as ONNX: {problem}") from problem
    if code or not (folder / FILE).exists():
        found = problem_in(said, code)
        name = among(found, program_files(folder)[0])
        raise EngineError(f"{network} can't be written as ONNX: {found}{name}")
    return said


def _convert_all(networks: Sequence[HandOver]) -> int:
    """Have one converter write the file of each of them; how many were done when it came to its end."""
    from spconvify.engines.onnx_converter import DONE

    jobs = [_job(one.folder, one.input_shape) for one in networks]
    try:
        _, said = _run_converter({"jobs": jobs}, networks[0].folder)
    except EngineError:  # the first by itself will tell
        return 0
    _warn_of_plain("a network of several", said)
    return sum(line.startswith(DONE) for line in said.splitlines())


def _run_converter(job: Mapping[str, Any], folder: Path) -> tuple[int, str]:
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    return children.run("spconvify.engines.onnx_converter", job, folder, variables)


def _job(folder: Path, input_shape: Shapes) -> dict[str, Any]:
    program, parameters = program_files(folder)
    return {
        "program": str(program.absolute()),
        "parameters": str(parameters.absolute()),
        "target": str((folder / FILE).absolute()),
        "opset": _OPSET,
        "input_shape": described(input_shape),
    }


def _warn_of_plain(network: str, said: str) -> None:
    from spconvify.engines.onnx_converter import PLAIN

    for line in said.splitlines():
        if line.startswith(PLAIN):
            warnings.warn(f"{network}: {line}", PlainFileWarning, stacklevel=3)


ENGINE = OnnxRuntime()
