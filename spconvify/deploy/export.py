"""export: files for the engine that deploys the network, checked before they are called done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.folder import MANIFEST, check_folder, put_in_place
from spconvify.deploy.manifest import Manifest
from spconvify.deploy.parts import FusedSPConv2D
from spconvify.deploy.timing import fuse_for_deployment
from spconvify.deploy.tune import choose_forms
from spconvify.engines import Latency, check_engine, describe
from spconvify.engines.inference import passes_left_out, program_files
from spconvify.engines.measure import hand_over
from spconvify.engines.process import Worker, environment, memory_settings
from spconvify.engines.worker import random_values
from spconvify.errors import ArgumentError, EngineError
from spconvify.graph import tensors_in
from spconvify.places import place_of
from spconvify.scratch import scratch_folder
from spconvify.verify import evaluating

TOLERANCE = 1e-4  # of the output's scale, between the exported network and the one in Python
EXPORTED_BY = ("inference", "openvino", "onnxruntime")
_OTHER_BATCH = 3  # a file that takes any batch is checked with this one too
_SECONDS = 0.5
_FULL_DISK_BYTES = 1 << 16


def export(
    model: nn.Layer,
    path: str | os.PathLike[str],
    input_shape: Sequence[int],
    engine: str = "inference",
    tune: bool = True,
    *,
    threads: int = 1,
    dynamic_batch: bool = False,
    overwrite: bool = False,
    progress: Callable[..., None] | None = None,
) -> Path:
    """Write a network for deployment into a new folder, and check the files against the network.

    The network is fused (`spconvify.fuse`) in the forms that are fastest in the engine. The files are
    run in a process of their own on random input; if an output differs from the unfused network's by
    more than 1e-4 of its scale, nothing is left. ``manifest.json`` says what was written and how fast
    it is.

    Args:
        model: a converted network, or any other; comes back unchanged.
        path: the folder to make.
        input_shape: (N, C, H, W).
        engine: "inference" (model.json or, on Paddle 2, model.pdmodel; model.pdiparams), "openvino"
            (model.pdmodel, model.pdiparams) or "onnxruntime" (model.onnx).
        tune: measure which form of each layer is fastest here; see `spconvify.deploy.tune`.
        threads: CPU threads to choose and to measure with.
        dynamic_batch: write files that take any batch, not only N.
        overwrite: replace a folder that an earlier export made and that holds nothing else.
        progress: called with (done, total, message).

    Returns:
        The folder.

    Raises:
        ArgumentError: for an engine without files, a folder that exists, be it since this began, or an
            input that doesn't fit.
        EngineError: if the engine isn't installed, can't run the network, or computes something else.
    """
    if engine not in EXPORTED_BY:
        raise ArgumentError(f"engine {engine!r} has no files to export; use {' or '.join(EXPORTED_BY)}")
    check_engine(engine)
    target = Path(path)
    check_folder(target, overwrite)
    shape = tuple(int(size) for size in input_shape)
    choice = choose_forms(model, shape, engine, threads, measure_them=tune, progress=progress)
    fused = fuse_for_deployment(model, shape, engine, choice)
    with scratch_folder(place_of(target)) as folder:
        try:
            hand_over(engine, fused, folder, (-1, *shape[1:]) if dynamic_batch else shape)
            job = {"engine": engine, "folder": str(folder), "threads": threads, "device": "cpu"}
            error, latency = _check(model, job, shape)
            if dynamic_batch:
                error = max(error, _check(model, job, (_OTHER_BATCH, *shape[1:]))[0])
        except EngineError as problem:
            if shutil.disk_usage(folder).free < _FULL_DISK_BYTES:  # Paddle writes on without a word
                raise EngineError(f"can't write {target}: no space left on its disk") from problem
            raise
        manifest = _manifest(fused, folder, shape, dynamic_batch, engine, threads, error, latency)
        put_in_place(folder, target, overwrite, manifest.to_dict())
    return target


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that `export` made."""
    return Manifest.of(json.loads((folder / MANIFEST).read_text()))


def _check(model: nn.Layer, job: dict[str, Any], shape: Sequence[int]) -> tuple[float, Latency]:
    """The exported network's largest error in parts of the output's scale, and its latency."""
    with evaluating(model), paddle.no_grad():
        dtype = next((parameter.dtype for parameter in model.parameters()), "float32")
        outputs = tensors_in(model(paddle.to_tensor(random_values(shape)).astype(dtype)))
        expected = [output.astype("float32").numpy() for output in outputs]
    with scratch_folder() as place:
        with Worker({**job, "input_shape": list(shape)}, "exported") as worker:
            worker.wait_until_loaded()
            found_in = place / "outputs.npz"
            worker.save_outputs(found_in)
            latency = Latency.of(worker.run(worker.warm_up(_SECONDS)))
        with np.load(found_in) as file:
            found = [file[f"arr_{index}"] for index in range(len(file.files))]
    return largest_error(expected, found), latency


def largest_error(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """The largest |found - expected|, in parts of that output's largest |expected|.

    Raises:
        EngineError: if the outputs have other shapes, or the error is above the tolerance.
    """
    shapes = [array.shape for array in expected], [array.shape for array in found]
    if shapes[0] != shapes[1]:
        raise EngineError(f"the exported network's outputs are {shapes[1]} instead of {shapes[0]}")
    errors = [0.0]
    for wanted, got in zip(expected, found):
        scale = float(np.abs(wanted).max(initial=0.0)) or 1.0
        errors.append(float(np.abs(got - wanted).max(initial=0.0)) / scale)
    if not max(errors) <= TOLERANCE or np.isnan(errors).any():
        raise EngineError(
            f"the exported network's output is off by {max(errors):.1e} of its scale from the network's "
            f"(at most {TOLERANCE:g} is right); nothing was written. Is the network deterministic?"
        )
    return max(errors)


def _manifest(
    fused: nn.Layer,
    folder: Path,
    shape: tuple[int, ...],
    dynamic_batch: bool,
    engine: str,
    threads: int,
    error: float,
    latency: Latency,
) -> Manifest:
    from spconvify import __version__
    from spconvify.counting import cost

    counted = cost(fused, shape)
    layers = fused.named_sublayers()
    variables = environment(threads)
    return Manifest(
        spconvify=__version__,
        paddle=paddle.__version__,
        engine=engine,
        input_shape=shape,
        dynamic_batch=dynamic_batch,
        threads=threads,
        environment={name: variables[name] for name in memory_settings(engine=engine)},
        deleted_passes=passes_left_out(program_files(folder)[0]) if engine == "inference" else [],
        facts=describe(engine),
        files={file.name: file.stat().st_size for file in sorted(folder.iterdir())},
        forms={name: layer.form for name, layer in layers if isinstance(layer, FusedSPConv2D)},
        params=counted.params,
        macs=counted.macs,
        latency=latency,
        error=error,
    )
