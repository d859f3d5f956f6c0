"""Paddle Inference's predictors: made of a program's files, and run once at a call."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import numpy as np

from spconvify.engines.devices import gpu_index
from spconvify.engines.feeds import Values, by_name
from spconvify.engines.program_files import OLDER, program_files

GPU_MEMORY_MB = 256  # what Paddle Inference reserves at first
# Passes of Paddle 2 that compare convolutions with one another while a network is loaded, in time that
# grows much faster than their number. The first makes additions part of convolutions; the others look
# for BatchNorms.
_RESIDUAL_PASS = "conv_elementwise_add_mkldnn_fuse_pass"
_NORM_PASSES = (
    "conv_bn_fuse_pass",
    "conv_eltwiseadd_bn_fuse_pass",
    "conv_transpose_bn_fuse_pass",
    "conv_transpose_eltwiseadd_bn_fuse_pass",
    "conv_affine_channel_mkldnn_fuse_pass",
)
MANY_CONVOLUTIONS = 600
# What Paddle 3.3 looks for activations behind convolutions with: it ends the process at a leaky ReLU.
_ACTIVATION_PASS = "conv_activation_onednn_fuse_pass"
LEAKY = b'"1.leaky_relu"'


@dataclass(frozen=True)
class Way:
    """How a network is run: the folder of its program, and the passes that it is loaded without."""

    folder: Path
    deleted_passes: tuple[str, ...] = ()


class Loaded:
    """A predictor: called, it runs once and gives its outputs. `way` is how it is run."""

    def __init__(self, way: Way, run: Callable[[], list[np.ndarray]]):
        self.way, self._run = way, run

    def __call__(self) -> list[np.ndarray]:
        return self._run()

    @property
    def how(self) -> dict[str, Any]:
        """`way` in JSON's words: what `keep` takes."""
        return {
            "older": self.way.folder.name == OLDER,
            "deleted_passes": list(self.way.deleted_passes),
        }


def load_way(way: Way, values: Values, threads: int, device: str) -> Loaded:
    """A predictor that runs the program on `values` in that way."""
    from paddle import inference

    program, parameters = program_files(way.folder)
    config = inference.Config(str(program), str(parameters))
    config.disable_glog_info()
    if device == "cpu":
        config.disable_gpu()
        _use_onednn(config)
        config.set_cpu_math_library_num_threads(threads)
        for name in way.deleted_passes:
            config.delete_pass(name)
    else:
        config.enable_use_gpu(GPU_MEMORY_MB, gpu_index(device))
    return Loaded(way, runner(inference.create_predictor(config), values))


def passes_left_out(program: Path) -> list[str]:
    """Passes that a network is loaded without: of Paddle 2 those that would take many minutes in one of
    very many convolutions, and of Paddle 3 one that crashes. Whoever deploys it calls
    ``config.delete_pass`` for each of them, too."""
    if program.suffix == ".json":
        return [_ACTIVATION_PASS] if LEAKY in program.read_bytes() else []
    # Not paddle.static.Program, which can be read in static mode only.
    parsed: Any = importlib.import_module("paddle.base.core").ProgramDesc(program.read_bytes())
    operators = Counter(
        block.op(index).type()
        for block in map(parsed.block, range(parsed.num_blocks()))
        for index in range(block.op_size())
    )
    if operators["conv2d"] + operators["depthwise_conv2d"] < MANY_CONVOLUTIONS:
        return []
    return [_RESIDUAL_PASS, *([] if operators["batch_norm"] else _NORM_PASSES)]


def runner(predictor: Any, values: Values) -> Callable[[], list[np.ndarray]]:
    """A function that runs a Paddle Inference predictor once."""
    feeds = [
        (predictor.get_input_handle(name), array)
        for name, array in by_name(values, predictor.get_input_names()).items()
    ]
    fetches = [predictor.get_output_handle(name) for name in predictor.get_output_names()]

    def run() -> list[np.ndarray]:
        for feed, array in feeds:
            feed.copy_from_cpu(array)
        predictor.run()
        return [fetch.copy_to_cpu() for fetch in fetches]  # waits for the device

    return run


def _use_onednn(config: Any) -> None:
    """Turn oneDNN on where it isn't by default (it is in 2.6 and 3.3), as everyone who deploys does."""
    name = "onednn" if hasattr(config, "enable_onednn") else "mkldnn"  # its name in Paddle 2
    if not getattr(config, f"{name}_enabled")():
        getattr(config, f"enable_{name}")()
