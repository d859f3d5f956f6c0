"""Whether a rebuilt network computes what the exported program does, in Paddle's own predictor."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import paddle

from spconvify.deploy.equality import differences
from spconvify.engines import children
from spconvify.engines.feeds import save_arrays
from spconvify.errors import CheckpointError, EngineError, NotCheckedWarning
from spconvify.files.scratch import scratch_folder
from spconvify.network.failures import first_line, lacks_memory
from spconvify.network.outputs import arrays
from spconvify.source.programs.feeds import usual_values
from spconvify.source.programs.files import ProgramFiles
from spconvify.source.programs.network import ProgramNetwork

# Of an output's scale. The same kernels run in both, so all but a few networks are equal to the bit.
TOLERANCE = 1e-4
# Batch, whether in another size, and whether of pixels' values: see `usual_values`.
TRIALS = ((1, False, False), (2, True, False), (2, True, True))


def check_network(network: ProgramNetwork, files: ProgramFiles) -> None:
    """Hold `network` to the program that it was made from, at two sizes where these are free.

    Random numbers are tried, and such as pixels have.

    Raises:
        CheckpointError: if it gives something else.

    Warns:
        NotCheckedWarning: if the predictor can't run the program here.
    """
    if files.is_json and paddle.__version__.startswith("2."):  # its predictor crashes on one
        _warn(files, f"Paddle {paddle.__version__} doesn't run programs of Paddle 3")
        return
    try:
        str(files.parameters.absolute()).encode("utf-8")
    except UnicodeEncodeError:
        _warn(files, "its path isn't UTF-8, as Paddle needs it; move the folder")
        return
    trials = [usual_values(network.feeds, *trial) for trial in TRIALS]
    outputs, said = predicted(files, trials)
    for values, expected in zip(trials, outputs):
        if expected is not None:
            _compare(network, files, values, expected)
    if all(expected is None for expected in outputs):
        if lacks_memory(said):  # so would everything else that runs it, in this very process
            raise CheckpointError(
                f"can't read {files.program}: running it takes more memory than is free ({said})"
            )
        _warn(files, said or "its process ended")
    elif blind := never_finite(outputs):
        _warn(files, f"its {blind} isn't finite anywhere on random numbers")


def predicted(
    files: ProgramFiles, trials: list[list[np.ndarray]]
) -> tuple[list[list[np.ndarray] | None], str]:
    """What Paddle's predictor gives for every trial, None where it fails; and what it says then.

    It runs in a process of its own, since a damaged program may crash it.
    """
    with scratch_folder() as folder:
        pairs = []
        for index, values in enumerate(trials):
            source, target = folder / f"inputs{index}.npz", folder / f"outputs{index}.npz"
            save_arrays(source, values)
            pairs.append((str(source.absolute()), str(target.absolute())))
        job = {
            "program": str(files.program.absolute()),
            "parameters": str(files.parameters.absolute()),
            "trials": pairs,
        }
        said = _run(job, folder)
        return [_read(Path(target)) for _, target in pairs], said


def never_finite(outputs: Sequence[Sequence[np.ndarray] | None]) -> str:
    """An output that has numbers, but no finite one in any trial: nothing can be compared there."""
    ran = [trial for trial in outputs if trial is not None]
    for index, several in enumerate(zip(*ran)):
        numbers = [array for array in several if array.size and array.dtype.kind == "f"]
        if numbers and not any(np.isfinite(array).any() for array in numbers):
            return f"output {index + 1}" if len(ran[0]) > 1 else "output"
    return ""


def _run(job: dict[str, Any], folder: Path) -> str:
    try:
        _, said = children.run("spconvify.source.programs.reference", job, folder, dict(os.environ))
    except EngineError as error:
        return str(error)
    lines = [line.strip() for line in said.splitlines() if any(map(str.isalnum, line))]
    telling = [line for line in lines if "Error" in line]
    return (telling or lines or [""])[0]


def _read(path: Path) -> list[np.ndarray] | None:
    if not path.exists():
        return None
    with np.load(path) as found:
        return [found[f"arr_{index}"] for index in range(len(found.files))]


def _compare(
    network: ProgramNetwork, files: ProgramFiles, values: list[np.ndarray], expected: list[np.ndarray]
) -> None:
    try:
        with paddle.no_grad():
            found = network(*map(paddle.to_tensor, values))
    except Exception as error:
        raise CheckpointError(
            f"can't read {files.program}: Paddle runs it, but the network made of it fails "
            f"({first_line(error)}); give the network's checkpoint (.pdparams)"
        ) from error
    outputs = found if isinstance(found, list) else [found]
    _check_dtypes(files, expected, outputs)
    errors = differences(arrays(expected), arrays(outputs))
    worst = max(errors.values(), default=0.0)
    if not worst <= TOLERANCE:
        raise CheckpointError(
            f"can't read {files.program}: the network made of it is off by {worst:.1e} of its outputs' "
            "scale; give the network's checkpoint (.pdparams)"
        )


def _check_dtypes(files: ProgramFiles, expected: list[np.ndarray], found: list[Any]) -> None:
    """Integers of another size are equal numbers, and break what reads them."""
    for one, other in zip(expected, (tensor.numpy() for tensor in found)):
        if one.dtype != other.dtype:
            raise CheckpointError(
                f"can't read {files.program}: the network made of it gives {other.dtype} for "
                f"{one.dtype}; give the network's checkpoint (.pdparams)"
            )


def _warn(files: ProgramFiles, why: str) -> None:
    warnings.warn(
        f"the network made of {files.said} wasn't compared with the program: {why}",
        NotCheckedWarning,
        stacklevel=3,
    )
