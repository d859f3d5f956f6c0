"""Engine "inference": Paddle Inference with its defaults."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.engines.support import gpu_index
from spconvify.errors import EngineError
from spconvify.verify import evaluating, first_line

_GPU_MEMORY_MB = 256  # what Paddle Inference reserves at first


def write(network: nn.Layer, folder: Path, input_shape: Sequence[int]) -> None:
    """Export `network` in eval mode for one input shape; the network comes back unchanged.

    Raises:
        EngineError: if it can't be traced into a static program.
    """
    spec = [paddle.static.InputSpec(list(input_shape), "float32", "x")]
    had_forward = vars(network).get("forward")
    try:
        with evaluating(network):
            paddle.jit.save(network, str(folder / "model"), input_spec=spec)
    except Exception as error:
        raise EngineError(
            f"{type(network).__name__} can't be traced for Paddle Inference: {first_line(error)}; "
            "try --engine eager"
        ) from error
    finally:
        # paddle.jit.save may leave its program on the layer.
        if had_forward is None and "forward" in vars(network):
            with contextlib.suppress(AttributeError):
                del network.forward


def load(job: dict[str, Any], values: np.ndarray) -> Callable[[], None]:
    """A predictor on the exported files, as a function that runs it once."""
    from paddle import inference

    stem = Path(job["folder"]) / "model"
    program = next(p for p in (stem.with_suffix(".json"), stem.with_suffix(".pdmodel")) if p.exists())
    config = inference.Config(str(program), str(stem.with_suffix(".pdiparams")))
    config.disable_glog_info()
    if job["device"] == "cpu":
        config.disable_gpu()
        config.enable_mkldnn()  # Paddle 3's default; on 2.6 everybody who deploys turns it on
        config.set_cpu_math_library_num_threads(job["threads"])
    else:
        config.enable_use_gpu(_GPU_MEMORY_MB, gpu_index(job["device"]))
    predictor = inference.create_predictor(config)
    feed = predictor.get_input_handle(predictor.get_input_names()[0])
    fetch = predictor.get_output_handle(predictor.get_output_names()[0])

    def run() -> None:
        feed.copy_from_cpu(values)
        predictor.run()
        fetch.copy_to_cpu()  # waits for the device

    return run
