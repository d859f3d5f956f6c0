"""What tools/foreign.py does with one network, and writes down as it goes."""

from __future__ import annotations

import json
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import foreign_networks
import paddle
from foreign_networks import NETWORKS
from network_checks import (
    ROOT,
    TOLERANCE,
    check_fused,
    check_runs,
    check_same_bits,
    check_unchanged_by_converting,
    lacking_gradients,
    outputs,
    refusal_of_original,
    runs,
    scattered,
)

import spconvify
from spconvify import SpconvifyError
from spconvify.deploy.equality import are_equal, largest_error, rounding
from spconvify.engines import older_program, tracing
from spconvify.network.inputs import Inputs
from spconvify.network.run import evaluating
from spconvify.source.programs.files import ProgramFiles, program_files
from spconvify.source.programs.writing import write_program

FUSIONS = ("gap", "sum")
ENGINES = ("inference", "onnxruntime", "openvino")
FORMATS = ("json", "pdmodel")
CHECKS = (*FUSIONS, "fused", *ENGINES, *FORMATS)


class Foreigner:
    """A network with what it is run on.

    Attributes:
        one: what engines are given, with N = 1.
        given: two sizes if it runs at two, with N = 2 where the input is a picture.
    """

    def __init__(self, name: str, packages: Path, folder: Path):
        known = NETWORKS[name]
        self.name, self.packages, self.folder = name, packages, folder
        self.network = self.build()
        sizes = [size for size in known.sizes if runs(self.network, known.inputs(size))][:2]
        assert sizes[:1] == [known.sizes[0]], f"doesn't run at {known.sizes[0]}"
        self.sizes = sizes
        self.one = known.inputs(sizes[0])
        self.given = [_of_two(known.inputs(size)) for size in sizes]
        self.converted: dict[str, Any] = {}

    def build(self) -> Any:
        return foreign_networks.build(self.name, self.packages)

    def convert(self, fusion: str) -> Any:
        if fusion not in self.converted:
            self.converted[fusion] = spconvify.convert(
                self.network, fusion=fusion, input_shape=self.given[0]
            )
        return self.converted[fusion]


def _of_two(given: Any) -> Any:
    return (2, *given[1:]) if isinstance(given, tuple) else given


def check(name: str, packages: Path, out: Path, checks: Sequence[str]) -> None:
    """Write the network's row to `out`, again after every check."""
    warnings.simplefilter("ignore")
    paddle.set_device("cpu")
    with tempfile.TemporaryDirectory() as place:
        foreigner = Foreigner(name, packages, Path(place))
        row = {"sizes": foreigner.sizes, **_counted(foreigner), "checks": {}, "seconds_of": {}}
        _write(out, row)
        for key in checks:
            if not row["eligible"] and key in FUSIONS:
                row["checks"][key] = "nothing"
                continue
            start = time.perf_counter()
            said = _judged(_steps(foreigner, key))
            for folder in (packages, place, ROOT):  # which are elsewhere the next time
                said = said.replace(f"{folder}/", "")
            row["checks"][key] = said
            row["seconds_of"][key] = round(time.perf_counter() - start)
            _write(out, row)


def _write(out: Path, row: dict[str, Any]) -> None:
    """Whole at any moment, since it is read meanwhile."""
    temporary = out.with_suffix(".tmp")
    temporary.write_text(json.dumps(row))
    temporary.replace(out)


def _counted(foreigner: Foreigner) -> dict[str, Any]:
    """Convolutions and costs before and after."""
    sites = spconvify.find_sites(foreigner.network)
    eligible = [site for site in sites if site.eligible]
    with evaluating(foreigner.network):
        before = spconvify.cost(foreigner.network, foreigner.one)
    macs = {layer.name: layer.macs for layer in before.layers}
    share = sum(macs.get(site.name, 0) for site in eligible) / max(before.macs, 1)
    row = {"convolutions": len(sites), "eligible": len(eligible), "share": share}
    return {**row, "macs": before.macs, "params": before.params}


Step = tuple[str, Callable[[], Any]]


def _judged(steps: Sequence[Step]) -> str:
    """ "right", "refused: ..." where spconvify says why it won't, or "wrong: ..."."""
    for name, step in steps:
        try:
            refused = step()
        except SpconvifyError as error:
            return f"refused: {name}: {_line(error)}"
        except Exception as error:
            traceback.print_exc()
            return f"wrong: {name}: {type(error).__name__}: {_line(error)}"
        if refused:
            return f"refused: {name}: {refused}"
    return "right"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:400]


def _steps(foreigner: Foreigner, key: str) -> list[Step]:
    if key in FUSIONS:
        return [
            ("convert", lambda: _void(foreigner.convert(key))),
            ("sizes", lambda: check_runs(foreigner.network, foreigner.convert(key), foreigner.given)),
            ("again", lambda: check_unchanged_by_converting(foreigner.convert(key))),
            ("save, load", lambda: _check_round_trip(foreigner, key)),
            ("backward", lambda: _check_backward(foreigner, key)),
        ]
    if key == "fused":
        return [("fuse", lambda: _check_fused(foreigner))]
    if key in ENGINES:
        return [("export", lambda: _check_export(foreigner, key))]
    return [("program", lambda: _check_program(foreigner, key))]


def _void(_: Any) -> None:
    """Nothing was refused."""


def _check_backward(foreigner: Foreigner, fusion: str) -> str:
    """Every parameter gets a gradient that has one in the original, in training if that runs."""
    given = foreigner.given[0]
    for training in (True, False):  # detectors can only be trained with boxes
        try:
            unused = lacking_gradients(foreigner.network, given, training)
        except Exception as error:
            foreigner.network.eval()
            reason = _line(error)
            continue
        lacking = lacking_gradients(foreigner.convert(fusion), given, training)
        assert lacking <= unused, f"no gradients: {sorted(lacking - unused)[:3]}"
        return ""
    return f"the original has none either: {reason}"


def _check_round_trip(foreigner: Foreigner, fusion: str) -> None:
    """Saved, and loaded into the network as it was built: the same bits."""
    other = scattered(foreigner.convert(fusion))
    path = spconvify.save(other, foreigner.folder / f"{fusion}.safetensors")
    loaded = spconvify.load(path, foreigner.build())
    check_same_bits(loaded, other, foreigner.given[0])


def _check_fused(foreigner: Foreigner) -> None:
    for fusion in FUSIONS:
        check_fused(scattered(foreigner.convert(fusion)), foreigner.given)


def _fusion(foreigner: Foreigner) -> str:
    """Each second network is exported with "gap"."""
    return FUSIONS[list(NETWORKS).index(foreigner.name) % 2]


def _check_export(foreigner: Foreigner, engine: str) -> str:
    converted = scattered(foreigner.convert(_fusion(foreigner)))  # a copy where nothing is eligible
    reason = refusal_of_original(converted, foreigner.network, foreigner.folder, foreigner.one, engine)
    return f"the original isn't exported either: {reason}" if reason else ""


def _check_program(foreigner: Foreigner, file_format: str) -> str:
    """Written by Paddle and read by spconvify it is the same network; converted, written and read again
    too."""
    files = _program(foreigner, file_format)
    assert files.program.suffix == f".{file_format}", f"{files.program.name} was written"
    read = spconvify.load(files.program)
    given = foreigner.one
    if isinstance(given, dict):  # what a program doesn't use it doesn't have
        given = {name: value for name, value in given.items() if name in read.input_names}
    _check_equal(foreigner.network, foreigner.one, read, given)
    converted = spconvify.convert(read, fusion=_fusion(foreigner), input_shape=given)
    target = foreigner.folder / f"{file_format}_converted"
    write_program(converted, files, target)
    _check_equal(converted, given, spconvify.load(target), given)
    return ""


def _program(foreigner: Foreigner, file_format: str) -> ProgramFiles:
    """The network as Paddle writes it; an exported program's own files if they have this format."""
    place = NETWORKS[foreigner.name].program
    own = program_files(foreigner.packages / place) if place else None
    if own is not None and own.program.suffix == f".{file_format}":
        return own
    folder = foreigner.folder / file_format
    folder.mkdir()
    older = file_format == "pdmodel" and not paddle.__version__.startswith("2.")
    (older_program if older else tracing).write(foreigner.network, folder, foreigner.one)
    written = program_files(folder)
    assert written is not None, "no program was written"
    return written


def _check_equal(one: Any, given: Any, other: Any, its: Any) -> None:
    """The outputs are the same in their order; they may have other names."""
    expected, others = outputs(one, given), outputs(other, its)
    assert len(expected) == len(others), f"{len(others)} outputs instead of {len(expected)}"
    found = dict(zip(expected, others.values()))
    error = largest_error(expected, found)
    if error <= TOLERANCE:
        return
    with evaluating(one), paddle.no_grad():
        sample = Inputs.of(given, one).sample(one)
        rounded = rounding(one, sample, expected, found)
    right = are_equal(expected, found, rounded, TOLERANCE)
    assert right, f"the program's outputs are off by {error:.1e}"
