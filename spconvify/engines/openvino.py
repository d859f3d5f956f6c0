"""Engine "openvino": Paddle Inference through the OpenVINO that Paddle 3's wheel for the CPU brings.

OpenVINO compiles the whole network at once: it has no operator to start one by one, and a split of
channels costs no copy there. It reads programs of Paddle's older representation (.pdmodel) only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable

import numpy as np

from spconvify.engines import inference
from spconvify.engines.older_program import write
from spconvify.engines.tracing import program_files

__all__ = ["load", "write"]


def load(job: dict[str, Any], values: np.ndarray) -> Callable[[], list[np.ndarray]]:
    """A predictor on the exported files, as a function that runs it once and gives its outputs."""
    from paddle.inference import Config, create_predictor

    program, parameters = program_files(Path(job["folder"]))
    config = Config(str(program), str(parameters))
    config.disable_glog_info()
    config.disable_gpu()
    config.enable_openvino_engine()
    config.set_cpu_math_library_num_threads(job["threads"])
    # Otherwise Paddle makes one where the process runs; here it goes with the folder if that is swept.
    with tempfile.TemporaryDirectory(dir=job["folder"]) as cache:
        config.set_optim_cache_dir(cache)
        predictor = create_predictor(config)
    return inference.runner(predictor, values)
