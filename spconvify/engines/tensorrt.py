"""Engine "tensorrt": Paddle Inference on a GPU with TensorRT for the operators that it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

from spconvify.engines.base import Engine
from spconvify.engines.devices import gpu_index
from spconvify.engines.feeds import Shapes, Values, batch_of
from spconvify.engines.program_files import program_files
from spconvify.errors import EngineError
from spconvify.settings import DEFAULT_ENGINE

if TYPE_CHECKING:
    import numpy as np
    from paddle import nn

_WORKSPACE_BYTES = 1 << 30
_MIN_OPERATORS = 3  # Paddle's own default: a smaller subgraph isn't worth the copies


class TensorRT(Engine):
    """TensorRT inside Paddle 2's predictor, in float32."""

    name, label = "tensorrt", "Paddle Inference with TensorRT"
    devices = ("gpu",)

    def write(self, network: nn.Layer, folder: Path, input_shape: Shapes) -> None:
        """Trace it."""
        from spconvify.engines import tracing

        tracing.write(network, folder, input_shape)

    def load(
        self, folder: Path, values: Values, threads: int = 1, device: str = "gpu:0"
    ) -> Callable[[], list[np.ndarray]]:
        """A predictor with TensorRT subgraphs in float32.

        Raises:
            EngineError: for a program of Paddle 3, whose predictor takes no TensorRT subgraphs.
        """
        from paddle import inference

        from spconvify.engines.predictor import GPU_MEMORY_MB, runner

        program, parameters = program_files(folder)
        if program.suffix == ".json":
            raise EngineError(
                "Paddle 3 makes no TensorRT subgraphs of a .json file; take Paddle 2.6, or "
                f"{DEFAULT_ENGINE}"
            )
        config = inference.Config(str(program), str(parameters))
        config.disable_glog_info()
        config.enable_use_gpu(GPU_MEMORY_MB, gpu_index(device))
        config.enable_tensorrt_engine(
            workspace_size=_WORKSPACE_BYTES,
            max_batch_size=batch_of(values),
            min_subgraph_size=_MIN_OPERATORS,
            precision_mode=inference.PrecisionType.Float32,
        )
        return runner(inference.create_predictor(config), values)


ENGINE = TensorRT()
