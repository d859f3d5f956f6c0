"""Engine "onnxruntime": ONNX Runtime on the network's ONNX file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
from paddle import nn

from spconvify.engines import children, tracing
from spconvify.engines.onnx_converter import PLAIN, problem_in
from spconvify.engines.support import gpu_index
from spconvify.errors import EngineError, PlainFileWarning

FILE = "model.onnx"
_OPSET = 14


def write(network: nn.Layer, folder: Path, input_shape: Sequence[int]) -> None:
    """Export `network` in eval mode to ONNX; a batch of -1 makes a file that takes any.

    Splits of channels are divided among the convolutions before them where that is faster: `onnx_parts`.

    Raises:
        EngineError: if it can't be traced, or has an operator that ONNX hasn't.
    """
    tracing.write(network, folder, input_shape)
    program, parameters = tracing.program_files(folder)
    target = folder / FILE
    job = {
        "program": str(program.absolute()),
        "parameters": str(parameters.absolute()),
        "target": str(target.absolute()),
        "opset": _OPSET,
        "input_shape": list(input_shape),
    }
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    try:
        code, said = children.run("spconvify.engines.onnx_converter", job, folder, variables)
    except EngineError as problem:
        name = type(network).__name__
        raise EngineError(f"{name} can't be written as ONNX: {problem}") from problem
    if code or not target.exists():
        text = problem_in(said, code)
        raise EngineError(f"{type(network).__name__} can't be written as ONNX: {text}")
    for line in said.splitlines():
        if line.startswith(PLAIN):
            warnings.warn(f"{type(network).__name__}: {line}", PlainFileWarning, stacklevel=2)
    for file in (program, parameters):
        file.unlink()


def load(job: dict[str, Any], values: np.ndarray) -> Callable[[], list[np.ndarray]]:
    """A session on the exported file, as a function that runs it once and gives its outputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = job["threads"], 1
    providers: list[Any] = ["CPUExecutionProvider"]
    if job["device"] != "cpu":
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": gpu_index(job["device"])}))
    path = str(Path(job["folder"]) / FILE)
    session = onnxruntime.InferenceSession(path, options, providers=providers)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: values})
