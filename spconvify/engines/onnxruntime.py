"""Engine "onnxruntime": ONNX Runtime on the network's ONNX file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
from paddle import nn

from spconvify.engines import inference
from spconvify.engines.children import module_path
from spconvify.engines.support import gpu_index
from spconvify.errors import EngineError

FILE = "model.onnx"
_OPSET = 14
# In a process of its own: the converter prints past Python, and a crash of its is not ours.
_CONVERT = """
import sys, zlib
from spconvify.engines.children import end_with
end_with(int(sys.argv[5]))
import paddle2onnx
paddle2onnx.export(*sys.argv[1:4], opset_version=int(sys.argv[4]))
from spconvify.engines.onnx_parts import divide_file
divide_file(sys.argv[3])
"""


def write(network: nn.Layer, folder: Path, input_shape: Sequence[int]) -> None:
    """Export `network` in eval mode to ONNX; a batch of -1 makes a file that takes any.

    Splits of channels are divided among the convolutions before them where that is faster: `onnx_parts`.

    Raises:
        EngineError: if it can't be traced, or has an operator that ONNX hasn't.
    """
    inference.write(network, folder, input_shape)
    program, parameters = inference.program_files(folder)
    target = folder / FILE
    arguments = [str(program), str(parameters), str(target), str(_OPSET), str(os.getpid())]
    done = subprocess.run(
        [sys.executable, "-c", _CONVERT, *arguments],
        env={**os.environ, "PYTHONPATH": module_path(), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode or not target.exists():
        lines = (done.stdout + done.stderr).strip().splitlines()
        telling = [line.strip() for line in lines if "rror" in line or "not support" in line]
        text = (telling or lines or [f"paddle2onnx ended with code {done.returncode}"])[-1]
        raise EngineError(f"{type(network).__name__} can't be written as ONNX: {text}")
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
