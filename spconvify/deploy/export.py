"""export: files for the engine that deploys the network, checked before they are called done."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import paddle
from paddle import nn

from spconvify.caution import warn
from spconvify.deploy.against_original import against_original
from spconvify.deploy.checking import check, check_dtype, naming
from spconvify.deploy.folder import MANIFEST, check_folder, put_in_place
from spconvify.deploy.full_disk import naming_full_disk
from spconvify.deploy.half_precision import naming_half_precision
from spconvify.deploy.latencies import AgainstOriginal
from spconvify.deploy.manifest import Manifest
from spconvify.deploy.other_sizes import other_sizes
from spconvify.deploy.timing import fuse_for_deployment
from spconvify.deploy.tune import choose_forms
from spconvify.engines import Latency, check_engine, describe, registry
from spconvify.engines.measure import hand_over
from spconvify.engines.process import environment
from spconvify.engines.registry import EngineName
from spconvify.engines.support import check_threads
from spconvify.errors import ArgumentError, EngineError, SlowerWarning
from spconvify.files.places import place_of
from spconvify.files.regular import open_regular
from spconvify.files.scratch import scratch_folder
from spconvify.network.batches import shape_of
from spconvify.network.examples import needed_inputs
from spconvify.network.finite import check_finite
from spconvify.network.input_tensor import DYNAMIC
from spconvify.network.inputs import Inputs
from spconvify.network.replacement import FusedReplacement
from spconvify.network.sizes import of_any_size
from spconvify.progress import Wanted, showing
from spconvify.settings import DEFAULT_ENGINE

_OTHER_BATCH = 3  # a file that takes any batch is checked with this one too


def export(
    model: nn.Layer,
    path: str | os.PathLike[str],
    input_shape: Any = None,
    engine: EngineName = DEFAULT_ENGINE,
    tune: bool = True,
    *,
    threads: int = 1,
    dynamic_batch: bool = False,
    dynamic_size: bool = False,
    overwrite: bool = False,
    example: Any = None,
    progress: Wanted = None,
) -> Path:
    """Write a network for deployment into a new folder, and check the files against the network.

    The network is fused (`spconvify.fuse`) in the forms that are fastest in the engine. The files are
    run in a process of their own; if an output differs from the unfused network's by more than 1e-4 of
    its scale (see `spconvify.deploy.equality`), nothing is left. ``manifest.json`` says what was written
    and how fast it is.

    Args:
        model: a converted network, or any other; comes back unchanged.
        path: the folder to make.
        input_shape: (N, C, H, W); of a network with several inputs a list or a dictionary of shapes or
            example arrays, as its forward takes them, whose names the files' inputs get. None takes the
            example's.
        engine: what will run the files, by name: one of `spconvify.engines.registry.exporting`.
        tune: measure which form of each layer is fastest here; see `spconvify.deploy.tune`.
        threads: CPU threads to choose and to measure with.
        dynamic_batch: write files that take any batch, not only N.
        dynamic_size: write files that take pictures of any height and width that the network takes, not
            only H and W, for which the forms are chosen and the latency is measured.
        overwrite: replace a folder that an earlier export made and that holds nothing else.
        example: images (N, C, H, W), prepared as the network wants them, to check the files on: a few of
            the calibration images; of several inputs as `input_shape`. Random numbers by default.
        progress: called with (done, total, text); None shows a bar on a terminal and in a notebook, and
            False nothing.

    Returns:
        The folder.

    Raises:
        ArgumentError: for an engine without files, threads < 1, a folder that exists, be it since this
            began, an input that doesn't fit, or a network that takes no other sizes where any are
            wanted.
        EngineError: if the engine isn't installed, can't run the network, or computes something else, or
            if weights aren't finite.

    Warns:
        NotCheckedWarning: if an output is empty on all that the files were run on, as a detector's boxes
            may be.
        SlowerWarning: if the files are measurably slower than the original network is, of which every
            converted layer is a dense convolution again; that is measured only with `tune`.
    """
    if not registry.engine(engine).exports:
        usable = " or ".join(registry.exporting())
        raise ArgumentError(f"engine {engine!r} has no files to export; use {usable}")
    check_engine(engine)
    check_threads(threads)
    target = Path(path)
    check_folder(target, overwrite)
    place = place_of(target)  # what links lead to, and which folder is the current one, may change
    inputs = needed_inputs(input_shape, example, model)
    check_finite(model, EngineError, "so nothing was exported")
    check_dtype(model, engine)
    others = other_sizes(model, inputs) if dynamic_size else []
    free = of_any_size(inputs) if dynamic_size else inputs
    if dynamic_batch:
        free, others = free.with_batch(DYNAMIC), [*others, inputs.with_batch(_OTHER_BATCH)]
    with showing(progress, "exporting") as report, naming_half_precision(model, inputs):
        choice = choose_forms(model, inputs, engine, threads, measure_them=tune, progress=report)
        fused = fuse_for_deployment(model, inputs, engine, choice, example)
        with scratch_folder(place) as folder:
            with naming_full_disk(folder, target):
                with naming("for any height and width: " if dynamic_size else ""):
                    hand_over(engine, fused, folder, free)
                job = {"engine": engine, "folder": str(folder), "threads": threads, "device": "cpu"}
                error, latency, how = check(model, fused, job, inputs, others)
            deleted = how.get("deleted_passes", [])
            manifest = _manifest(fused, folder, inputs, free, engine, threads, error, latency, deleted)
            if tune and manifest.dense_again < len(manifest.forms):  # else it is as fast
                manifest.against_original = against_original(
                    model, fused, inputs, engine, threads, report
                )
            report(1, 1, "putting the files in place")
            put_in_place(folder, place, overwrite, manifest.to_dict())
    if manifest.against_original is not None:
        _warn_if_slower(manifest.against_original, engine)
    return target


def _warn_if_slower(found: AgainstOriginal, engine: EngineName) -> None:
    if found.verdict == "slower":
        before, after = (f"{one.median:.3g} ms" for one in (found.original, found.exported))
        warn(
            f"slower than the original in {registry.label(engine)}, {after} instead of {before}: deploy "
            "that one",
            SlowerWarning,
        )


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder that `export` made."""
    with open_regular(folder / MANIFEST) as file:
        return Manifest.of(json.load(file))


def _manifest(
    fused: nn.Layer,
    folder: Path,
    inputs: Inputs,
    free: Inputs,
    engine: EngineName,
    threads: int,
    error: float | None,
    latency: Latency,
    deleted_passes: list[str],
) -> Manifest:
    from spconvify import __version__
    from spconvify.network.counting import cost

    counted = cost(fused, inputs)
    layers = fused.named_sublayers()
    variables = environment(threads, engine=engine)
    return Manifest(
        spconvify=__version__,
        paddle=paddle.__version__,
        engine=engine,
        input_shape=shape_of(inputs),
        inputs={} if inputs.is_plain else inputs.said,
        free_axes={name: _free_axes(tensor.shape) for name, tensor in free.tensors.items()},
        threads=threads,
        environment={name: variables[name] for name in registry.engine(engine).memory()},
        deleted_passes=deleted_passes,
        facts=describe(engine),
        files={file.name: file.stat().st_size for file in sorted(folder.iterdir())},
        forms={name: layer.form for name, layer in layers if isinstance(layer, FusedReplacement)},
        params=counted.params,
        macs=counted.macs,
        latency=latency,
        error=error,
    )


def _free_axes(shape: Sequence[int]) -> list[int]:
    return [axis for axis, size in enumerate(shape) if size == DYNAMIC]
