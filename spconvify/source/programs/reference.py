"""The child's side of `check`: run a program in Paddle's own predictor, as it is, without any rewriting.

Its job is {"program", "parameters", "trials"}: files, and for every trial the .npz to read and the one
to write. What can't be run leaves no file behind, and its reason as a line on the standard output.
"""

from __future__ import annotations

import contextlib
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from pathlib import Path
from typing import Any

import numpy as np

from spconvify.engines.feeds import save_arrays
from spconvify.engines.memory import available

_LEAST_MEMORY = 2 << 30  # bytes; Paddle itself takes some hundred million
_LARGEST_OUTPUTS = 1 << 28  # numbers, which are compared in float64


def main(job: dict[str, Any]) -> None:
    """Run every trial; of two, both may fail, and that of a program that can't be loaded does."""
    from spconvify.network.failures import first_line

    _limit_memory()
    for source, target in job["trials"]:
        try:
            outputs = _run(job["program"], job["parameters"], source)
            if sum(output.size for output in outputs) > _LARGEST_OUTPUTS:
                shapes = [list(output.shape) for output in outputs]
                print(f"out of memory: outputs of {shapes}", flush=True)
                continue
            save_arrays(Path(target), outputs)
        except Exception as error:  # whatever Paddle raises, and a full disk
            print(first_line(error), flush=True)


def _run(program: str, parameters: str, source: str) -> list[np.ndarray]:
    from paddle import inference

    config = inference.Config(program, parameters)
    config.disable_gpu()
    config.disable_glog_info()
    config.switch_ir_optim(False)  # what it rewrites comes in other places
    for name in ("disable_mkldnn", "disable_onednn"):
        with contextlib.suppress(AttributeError):
            getattr(config, name)()
    predictor = inference.create_predictor(config)
    with np.load(source) as arrays:
        for index, name in enumerate(predictor.get_input_names()):
            predictor.get_input_handle(name).copy_from_cpu(arrays[f"arr_{index}"])
    predictor.run()
    return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]


def _limit_memory() -> None:
    """No more than is free: a damaged one may ask for anything, and the parent runs what ran here."""
    most = available()
    with contextlib.suppress(ImportError, ValueError, OSError, AttributeError):
        import resource

        if most is not None:
            limit = max(most, _LEAST_MEMORY)
            resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
