"""Fuzz the reader of exported programs: damaged and hostile ones by the thousand, and what came of it.

    python tools/fuzz_programs.py --files 10000 [--models FOLDER]

Each is a good one (small networks, exported here in the formats that this Paddle writes; those in
FOLDER too) with one of its files changed: as any file can be, or as one who knows the format would, with
numbers out of all proportion, names that a layer can't have, ids exchanged, messages in messages. It is
read and built in a process that may take 1 GiB more and 20 seconds: that must give one line that names
the file, or a network. The network is run; where that ends the process, the file is loaded as users
load it, beside Paddle's predictor, and that must not. Exits with 1 if there was an execution, a hang, a
crash or a traceback.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NamedTuple

import numpy as np
import paddle
from fuzz_checkpoints import mutations
from fuzzing import byte_changes, command_line, ended, in_processes
from program_damage import NAMES, json_changes, number_changes, protobuf_changes

from spconvify.engines import older_program
from spconvify.errors import EngineError, SpconvifyError
from spconvify.source.programs.architecture import ProgramArchitecture
from spconvify.source.programs.feeds import usual_values
from spconvify.source.programs.files import ProgramFiles, program_files

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

MORE_MEMORY, SECONDS, BATCH, CHECK_SECONDS = 1 << 30, 20, 200, 120
Program = dict[str, bytes]  # the files' contents by their suffix
_PARAMETERS, _INFO = ".pdiparams", ".pdiparams.info"


class Case(NamedTuple):
    """A damaged program, and what was done to it."""

    files: ProgramFiles
    change: str


def write_sources(folder: Path) -> None:
    """Small networks in the formats that this Paddle writes."""
    import exported_networks as networks

    for kind in networks.ONE_PICTURE:
        shape = (-1, 4, 5, 4) if kind.__name__ in ("Line", "Attention") else (-1, 4, -1, -1)
        place = folder / kind.__name__
        place.mkdir()
        networks.write(kind(), place / "model", shape)
        if not paddle.__version__.startswith("2."):
            older = folder / f"older_{kind.__name__}"
            older.mkdir()
            with contextlib.suppress(EngineError):  # it hasn't every operator
                older_program.write(kind(), older, (-1, 4, *shape[2:]))


def read_sources(folder: Path) -> Iterator[Program]:
    """Every program in the folders of `folder`."""
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = program_files(place)
        if files is not None:
            there = [p for p in (files.program, files.parameters, files.names) if p.is_file()]
            contents = {p.name[len(files.program.stem) :]: p.read_bytes() for p in there}
            yield {_INFO: pickle.dumps({}), **contents}


def _written(folder: Path) -> str:
    write_sources(folder)
    return "written"


class Damage:
    """Changes to one file of a program."""

    def __init__(self, canary: Path, random: np.random.Generator):
        self._random = random
        usual = byte_changes(random)
        self._changes = {
            ".json": {**json_changes(random), **json_changes(random), **usual},
            ".pdmodel": {**protobuf_changes(random), **usual},
            _PARAMETERS: {**number_changes(random), **usual},
            _INFO: {**mutations(canary, random), "names": self._names},
        }
        # Mostly those which only one who knows the format makes.
        self._likely = {".json": 0.8, ".pdmodel": 0.8, _PARAMETERS: 0.3, _INFO: 0.5}

    def of(self, program: Program, other: Program) -> tuple[Program, str]:
        """A copy with a change, and which."""
        described = next(suffix for suffix in program if suffix in (".json", ".pdmodel"))
        suffix = self._pick([described] * 6 + [_PARAMETERS, _INFO])
        changes = self._changes[suffix]
        knowing = [name for name in changes if name not in ("cut off", *_OF_BYTES)]
        names = knowing if self._random.random() < self._likely[suffix] else list(changes)
        name = self._pick(names)
        changed = changes[name](program[suffix], other.get(suffix, b"\x00"))
        return {**program, suffix: changed}, f"{suffix} {name}"

    def _pick(self, values: Any) -> Any:
        return values[int(self._random.integers(len(values)))]

    def _names(self, content: bytes, _: bytes) -> bytes:
        """Odd ones for what may be the parameters."""
        kinds = ("conv2d", "batch_norm2d", "linear", "layer_norm", "conv1d")
        known = [f"{k}_{n}.{p}_{i}" for k in kinds for n in range(9) for p in "wb" for i in range(3)]
        return pickle.dumps({name: {"structured_name": self._pick(NAMES)} for name in known}, 4)


_OF_BYTES = ("flipped", "replaced", "removed", "doubled", "spliced")


def built(case: Case) -> str:
    """What came of reading and building; everything that begins with a capital letter is wrong."""
    return _judged(case, lambda: str(ProgramArchitecture(case.files).build(lazy=True) and "built"))


def ran(case: Case) -> str:
    """The same, and what came of running it on its usual inputs."""
    return _judged(case, lambda: _run(ProgramArchitecture(case.files).build(lazy=True)))


def _run(network: Any) -> str:
    values = usual_values(network.feeds)
    try:
        with paddle.no_grad():
            network(*map(paddle.to_tensor, values))
    except Exception:  # Paddle's own, which the check at loading makes one line of
        return "built; doesn't run"
    return "built, and runs"


def checked(case: Case) -> str:
    """The same as users load it, with Paddle's predictor in a process of its own."""
    warnings.simplefilter("ignore")
    return _judged(case, lambda: str(ProgramArchitecture(case.files).build() and "built"))


def _judged(case: Case, attempt: Callable[[], str]) -> str:
    try:
        return attempt()
    except SpconvifyError as error:
        text = str(error)
        is_line = str(case.files.program) in text and "\n" not in text and len(text) < 10_000
        return "refused" if is_line else f"Unclear: {text[:1000]}"
    except BaseException as error:
        return f"Traceback: {type(error).__name__}: {str(error)[:1000]}"


def verdicts_of(batch: list[Case]) -> Iterator[str]:
    """Build and run all; where that ended the process, build it alone, and then check it as users do."""
    found = dict(zip(batch, in_processes(batch, ran, SECONDS, MORE_MEMORY)))
    fatal = [case for case in batch if ended(found[case])]
    for case, verdict in zip(fatal, in_processes(fatal, built, SECONDS, MORE_MEMORY)):
        found[case] = f"{verdict} alone" if ended(verdict) else verdict
        if verdict == "built":
            found[case] = "hang or crash"
    fatal = [case for case in fatal if found[case] == "hang or crash"]
    for case, verdict in zip(fatal, in_processes(fatal, checked, CHECK_SECONDS, 8 * MORE_MEMORY)):
        found[case] = f"built; its run ends a process, loading it: {verdict}"
        if verdict[0].isupper():
            found[case] = f"{verdict} where its run ends a process"
    for case in batch:
        yield found[case]


def fuzz(
    count: int,
    seed: int,
    folder: Path,
    progress: Callable[[int], None] = lambda _: None,
    models: str | None = None,
    keep: str | None = None,
) -> Counter:
    """How often there was which verdict in `count` programs; what went wrong is moved to `keep`."""
    canary, random = folder / "canary", np.random.default_rng(seed)
    sources, verdicts = folder / "sources", Counter()
    sources.mkdir()
    # In another process, since Paddle that has run something may not be forked.
    if list(in_processes([sources], _written, 300, 16 << 30)) != ["written"]:
        raise SystemExit("the networks can't be exported")
    good = [*read_sources(sources), *(read_sources(Path(models)) if models else ())]
    damage = Damage(canary, random)
    for first in range(0, count, BATCH):
        batch = [
            _put(damage.of(*(good[int(i)] for i in random.integers(0, len(good), 2))), folder / f"{n}")
            for n in range(first, min(first + BATCH, count))
        ]
        for case, verdict in zip(batch, verdicts_of(batch)):
            verdicts[verdict] += 1
            _put_away(case, verdict, Path(keep) if keep else None)
        verdicts["Execution"] += canary.exists()
        canary.unlink(missing_ok=True)
        progress(min(first + BATCH, count))
    return +verdicts


def _put(damaged: tuple[Program, str], folder: Path) -> Case:
    program, change = damaged
    folder.mkdir()
    for suffix, content in program.items():
        (folder / f"model{suffix}").write_bytes(content)
    suffix = ".json" if ".json" in program else ".pdmodel"
    return Case(ProgramFiles(folder / f"model{suffix}", folder / f"model{_PARAMETERS}"), change)


def _put_away(case: Case, verdict: str, keep: Path | None) -> None:
    folder = case.files.program.parent
    is_odd = verdict[0].isupper() or "ends a process" in verdict
    for path in folder.iterdir():
        if keep and is_odd:
            place = keep / folder.name
            place.mkdir(parents=True, exist_ok=True)
            (place / path.name).write_bytes(path.read_bytes())
        path.unlink()
    folder.rmdir()
    if keep and is_odd:
        (keep / folder.name / "verdict.txt").write_text(f"{case.change}: {verdict}\n")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    command_line(fuzz, __doc__, "models", "keep")
