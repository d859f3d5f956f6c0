"""Write a network that came from an exported program as such a program again, in the same format.

What deploys it has to change nothing but the path: inputs and outputs have their names, order, dtypes
and free sizes, and the files are called as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.checking import checked_error
from spconvify.deploy.equality import Outputs, rounding
from spconvify.deploy.folder import MANIFEST, check_folder, put_in_place
from spconvify.deploy.full_disk import naming_full_disk
from spconvify.deploy.timing import fuse_for_deployment
from spconvify.deploy.tune import choose_forms
from spconvify.engines import older_program, tracing
from spconvify.engines.program_files import program_files as traced_files
from spconvify.errors import EngineError
from spconvify.files.places import place_of
from spconvify.files.scratch import scratch_folder
from spconvify.network.finite import check_finite
from spconvify.network.input_tensor import InputTensor
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.outputs import arrays
from spconvify.network.run import evaluating
from spconvify.progress import Progress, nothing
from spconvify.source.programs.check import TRIALS, never_finite, predicted
from spconvify.source.programs.companions import read_companions
from spconvify.source.programs.feeds import usual_values
from spconvify.source.programs.files import ProgramFiles
from spconvify.source.programs.older_constants import with_paddle_2s
from spconvify.source.programs.program import Feed, Program
from spconvify.source.programs.reading import read_program
from spconvify.source.programs.renaming import rename_outputs

_ENGINE = "inference"


def check_format(files: ProgramFiles) -> None:
    """Refuse a format that this Paddle doesn't write, and a name that is the manifest's.

    Raises:
        EngineError: with the remedy.
    """
    if files.program.name == MANIFEST:
        raise EngineError(
            f"{files.program} is called like the list of files that is written beside a program; give "
            "it and its parameters another name"
        )
    if files.is_json and paddle.__version__.startswith("2."):
        raise EngineError(
            f"{files.program.name} is a program of Paddle 3, which Paddle {paddle.__version__} can't "
            "write; install Paddle 3, or let a checkpoint (FILE.pdparams) be written"
        )


def write_program(
    model: nn.Layer,
    files: ProgramFiles,
    target: Path,
    *,
    overwrite: bool = False,
    tune: bool = False,
    threads: int = 1,
    progress: Progress = nothing,
) -> float:
    """Write `model`, fused, into the new folder `target`, with what lies beside the original program.

    Args:
        model: the network that was made of `files`, converted; comes back unchanged.
        files: the program that it came from.
        target: the folder.
        overwrite: replace a folder that an earlier call made and that holds nothing else.
        tune: measure which form of each layer is fastest here.
        threads: CPU threads to choose with.
        progress: called with (done, total, text).

    Returns:
        The largest difference from `model`'s outputs in Paddle's predictor, in parts of their scale.

    Raises:
        ArgumentError: for a folder that exists, be it since this began.
        EngineError: if the network can't be traced, computes something else then, or its weights aren't
            finite.
    """
    check_format(files)
    check_folder(target, overwrite)
    place = place_of(target)
    check_finite(model, EngineError, "so nothing was written")
    beside = read_companions(files)
    program, _ = read_program(files)
    inputs = Inputs.of(_examples(program.feeds), model)
    choice = choose_forms(model, inputs, _ENGINE, threads, measure_them=tune, progress=progress)
    fused = fuse_for_deployment(model, inputs, _ENGINE, choice)
    with scratch_folder(place) as folder:
        with naming_full_disk(folder, target):
            written = _write(fused, program, files, folder)
            _check_interface(program, read_program(written)[0])
            error = _check(model, fused, program, written)
            for name, content in beside.items():
                (folder / name).write_bytes(content)
        put_in_place(folder, place, overwrite, _manifest(folder, files))
    return error


def _examples(feeds: Sequence[Feed]) -> dict[str, np.ndarray]:
    return {feed.name: values for feed, values in zip(feeds, usual_values(feeds))}


def _write(fused: nn.Layer, program: Program, files: ProgramFiles, folder: Path) -> ProgramFiles:
    """Trace it with the original's free sizes, then give everything its old name."""
    tensors = [InputTensor(feed.shape, feed.dtype) for feed in program.feeds]
    # One by one: by name they would come in the order of the names. A single one has no name then.
    specs: Any = tensors if len(tensors) > 1 else {program.feeds[0].name: tensors[0]}
    is_older = not files.is_json and not paddle.__version__.startswith("2.")
    write: Any = older_program.write if is_older else tracing.write
    write(fused, folder, Inputs.of(specs, fused))
    traced, parameters = traced_files(folder)
    if (traced.suffix == ".json") != files.is_json:
        raise EngineError(
            f"this Paddle writes {traced.suffix}, and the original is {files.program.name}"
        )
    rename_outputs(traced, [fetch.name for fetch in program.fetches])
    if is_older:  # and Paddle 2 may be what deploys it
        traced.write_bytes(with_paddle_2s(traced.read_bytes()))
    for other in folder.iterdir():
        if other not in (traced, parameters):
            other.unlink()
    new = ProgramFiles(folder / files.program.name, folder / files.parameters.name)
    traced.rename(new.program)
    parameters.rename(new.parameters)
    return new


def _check(model: nn.Layer, fused: nn.Layer, program: Program, written: ProgramFiles) -> float:
    """Run the written program in Paddle's predictor, and hold its outputs against the network's."""
    trials = [usual_values(program.feeds, *trial) for trial in TRIALS]
    outputs, said = predicted(written, trials)
    error, compared = 0.0, 0
    for values, found in zip(trials, outputs):
        if found is None:
            continue
        sample = Sample(tuple(map(paddle.to_tensor, values)), {})
        with evaluating(model), paddle.no_grad():
            expected = arrays(forward(model, sample))
            rounded = partial(_rounded, model, fused, sample, expected)
            error = max(error, checked_error(expected, found, rounded))
        compared += 1
    if not compared:
        raise EngineError(
            f"Paddle can't run the program that was written: {said}; nothing is left of it"
        )
    if blind := never_finite(outputs):
        raise EngineError(
            f"the program's {blind} isn't finite anywhere on random numbers, so what was written can't "
            "be checked, and nothing is left of it; let a checkpoint (FILE.pdparams) be written"
        )
    return error


def _rounded(
    model: nn.Layer, fused: nn.Layer, sample: Sample, expected: Outputs
) -> dict[str, float] | None:
    return rounding(model, sample, expected, arrays(forward(fused, sample)))


def _check_interface(old: Program, new: Program) -> None:
    """Names, dtypes and free sizes are the original's.

    Raises:
        EngineError: if they aren't, which is a fault of ours or of Paddle's.
    """

    def seen(program: Program) -> Any:
        feeds = [(feed.name, feed.dtype, feed.shape) for feed in program.feeds]
        return feeds, [fetch.name for fetch in program.fetches]

    if seen(old) != seen(new):
        raise EngineError(
            f"the program came out with the inputs and outputs {seen(new)}, not {seen(old)}"
        )


def _manifest(folder: Path, files: ProgramFiles) -> dict[str, Any]:
    """What `spconvify.deploy.folder` knows an earlier export by."""
    from spconvify import __version__

    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir())}
    return {
        "spconvify": __version__,
        "paddle": paddle.__version__,
        "engine": _ENGINE,
        "program": files.program.name,
        "bytes": sizes,
    }
