"""export: files for the engine that deploys the network, checked before they are called done."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.equality import Outputs, are_equal, arrays, differences, rounding, what_differs
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
    example: Any = None,
    progress: Callable[..., None] | None = None,
) -> Path:
    """Write a network for deployment into a new folder, and check the files against the network.

    The network is fused (`spconvify.fuse`) in the forms that are fastest in the engine. The files are
    run in a process of their own; if an output differs from the unfused network's by more than 1e-4 of
    its scale (see `spconvify.deploy.equality`), nothing is left. ``manifest.json`` says what was written
    and how fast it is.

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
        example: images (N, C, H, W), prepared as the network wants them, to check the files on: a few of
            the calibration images. Random numbers by default.
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
    _input(shape, example)
    choice = choose_forms(model, shape, engine, threads, measure_them=tune, progress=progress)
    fused = fuse_for_deployment(model, shape, engine, choice, example)
    with scratch_folder(place_of(target)) as folder:
        try:
            hand_over(engine, fused, folder, (-1, *shape[1:]) if dynamic_batch else shape)
            job = {"engine": engine, "folder": str(folder), "threads": threads, "device": "cpu"}
            error, latency = _check(model, fused, job, shape, example)
            if dynamic_batch:
                other = (_OTHER_BATCH, *shape[1:])
                error = max(error, _check(model, fused, job, other, example)[0])
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


def _check(
    model: nn.Layer, fused: nn.Layer, job: dict[str, Any], shape: Sequence[int], example: Any = None
) -> tuple[float, Latency]:
    """The exported network's largest error in parts of the output's scale, and its latency."""
    with scratch_folder() as place, evaluating(model), paddle.no_grad():
        values = _input(shape, example)
        np.save(place / "input.npy", values)
        dtype = next((parameter.dtype for parameter in model.parameters()), "float32")
        image = paddle.to_tensor(values).astype(dtype)
        expected = arrays(model(image))
        job = {**job, "input_shape": list(shape), "input": str((place / "input.npy").absolute())}
        with Worker(job, "exported") as worker:
            worker.wait_until_loaded()
            found_in = place / "outputs.npz"
            worker.save_outputs(found_in)
            latency = Latency.of(worker.run(worker.warm_up(_SECONDS)))
        with np.load(found_in) as file:
            found = [file[f"arr_{index}"] for index in range(len(file.files))]

        def rounded() -> Mapping[str, float] | None:
            return rounding(model, image, expected, arrays(fused(image)))

        return checked_error(expected, found, rounded), latency


def _input(shape: Sequence[int], example: Any) -> np.ndarray:
    """What the files are checked on, (N, C, H, W): the example's images, again from the first if they
    are too few."""
    if example is None:
        return random_values(shape)
    images = np.asarray(example, "float32")
    if images.ndim != len(shape) or images.shape[1:] != tuple(shape)[1:] or not images.size:
        wanted = ", ".join(("N", *map(str, shape[1:])))
        raise ArgumentError(f"the example has the shape {images.shape}; the input wants ({wanted})")
    return np.resize(images, tuple(shape))


def checked_error(
    expected: Outputs,
    found: Sequence[np.ndarray],
    rounded: Callable[[], Mapping[str, float] | None] = lambda: None,
) -> float:
    """The largest of the outputs' differences, which has to be a small one.

    Args:
        expected: the network's outputs by name, in the order of Paddle's exported programs.
        found: the exported network's.
        rounded: called if they differ: how far rounding alone takes them.

    Raises:
        EngineError: if the outputs have other shapes, or the error is above the tolerance.
    """
    names = list(expected) if len(expected) == len(found) else map(str, range(len(found)))
    named = dict(zip(names, found))
    error = max(differences(expected, named).values(), default=0.0)
    if error <= TOLERANCE or (
        len(named) == len(expected) and are_equal(expected, named, rounded(), TOLERANCE)
    ):
        return error
    raise EngineError(
        f"the exported network's {what_differs(expected, named)} (at most {TOLERANCE:g} is right); "
        "nothing was written. Is the network deterministic?"
    )


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
