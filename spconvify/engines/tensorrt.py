"""Engine "tensorrt": Paddle Inference on a GPU with TensorRT for the operators that it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import numpy as np

from spconvify.engines.inference import _GPU_MEMORY_MB, runner
from spconvify.engines.support import gpu_index
from spconvify.engines.tracing import program_files, write
from spconvify.errors import EngineError

__all__ = ["load", "write"]
_WORKSPACE_BYTES = 1 << 30
_MIN_OPERATORS = 3  # Paddle's own default: a smaller subgraph isn't worth the copies


def load(job: dict[str, Any], values: np.ndarray) -> Callable[[], list[np.ndarray]]:
    """A predictor with TensorRT subgraphs in float32.

    Raises:
        EngineError: for a program of Paddle 3, whose predictor takes no TensorRT subgraphs.
    """
    from paddle import inference

    program, parameters = program_files(Path(job["folder"]))
    if program.suffix == ".json":
        raise EngineError(
            "Paddle 3 makes no TensorRT subgraphs of a .json file; take Paddle 2.6, or inference"
        )
    config = inference.Config(str(program), str(parameters))
    config.disable_glog_info()
    config.enable_use_gpu(_GPU_MEMORY_MB, gpu_index(job["device"]))
    config.enable_tensorrt_engine(
        workspace_size=_WORKSPACE_BYTES,
        max_batch_size=values.shape[0],
        min_subgraph_size=_MIN_OPERATORS,
        precision_mode=inference.PrecisionType.Float32,
    )
    return runner(inference.create_predictor(config), values)
