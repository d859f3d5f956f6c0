"""Hold exported files against the network in Python: run them in the engine, and compare the outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Callable

import numpy as np
import paddle
from paddle import nn

from spconvify.deploy.boxes import TRIES, WHY, OtherNumberError, has_other_numbers, with_random_pictures
from spconvify.deploy.equality import Outputs, are_equal, differences, rounding, what_differs
from spconvify.deploy.evidence import Evidence
from spconvify.deploy.trials import blind, positive
from spconvify.engines import Engine, Latency, registry
from spconvify.engines.feeds import save_values
from spconvify.engines.process import Worker
from spconvify.engines.registry import EngineName
from spconvify.errors import EngineError
from spconvify.files.scratch import scratch_folder
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.norms import norm_of_own_statistics
from spconvify.network.outputs import arrays
from spconvify.network.placement import input_dtype
from spconvify.network.run import evaluating
from spconvify.network.sizes import picture_size

_SECONDS = 0.5
_WRONG = ": the engine, or what wrote its files, computes something else; another engine may do"


def check(
    model: nn.Layer,
    fused: nn.Layer,
    job: dict[str, Any],
    inputs: Inputs,
    others: Sequence[Inputs] = (),
) -> tuple[float | None, Latency, dict[str, Any]]:
    """Run what was exported on the inputs and on the others, in the way in which a server will.

    What the engine doesn't need for that is removed from the folder.

    Returns:
        The largest error in parts of the output's scale, the latency on `inputs`, and how the engine
        runs it. The error is None where all outputs are empty or one number, so that nothing is known.

    Raises:
        EngineError: if it doesn't run, or computes something else; names the input if it isn't the
            given one.

    Warns:
        NotCheckedWarning: if an output is empty on all of them.
    """
    engine = registry.engine(job["engine"])
    first, *rest = _in_order(inputs, others)
    latency, errors, evidence = None, [], Evidence()
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(scratch_folder())
        stack.enter_context(evaluating(model))
        stack.enter_context(paddle.no_grad())
        start = {**job, "input": save_values(first.values(), place)}
        worker = stack.enter_context(Worker(start, "exported"))
        with naming(_case(first, inputs)):
            worker.wait_until_loaded()
            how = worker.how()
        engine.keep(Path(job["folder"]), how)
        for now in (first, *rest):
            with naming(_case(now, inputs)):
                if now is not first:
                    worker.load_kept(how, save_values(now.values(), place))
                if now is inputs:
                    latency = Latency.of(worker.run(worker.warm_up(_SECONDS)))
                errors.append(_error(model, fused, now, worker, how, place, engine, evidence))
    assert latency is not None
    evidence.warn("what is exported")
    return None if evidence.is_none else max(errors), latency, how


def _error(
    model: nn.Layer,
    fused: nn.Layer,
    inputs: Inputs,
    worker: Worker,
    how: Mapping[str, Any],
    place: Path,
    engine: Engine,
    evidence: Evidence,
) -> float:
    """How far the files are off on an input that is loaded, or on other values of it, where rounding
    changes how many boxes there are."""
    if blind(arrays(forward(model, inputs.sample(model)))):  # a logarithm or a root of random numbers
        inputs = positive(inputs)
        worker.load_kept(how, save_values(inputs.values(), place))
    for seed in range(TRIES):
        if seed:
            inputs = with_random_pictures(inputs)
            worker.load_kept(how, save_values(inputs.values(seed), place))
        worker.save_outputs(place / "outputs.npz")
        found = _read(place / "outputs.npz")
        with contextlib.suppress(OtherNumberError):
            return _compared(model, fused, inputs.sample(model, seed), found, engine, evidence)
    return _compared(model, fused, inputs.sample(model, TRIES - 1), found, engine, evidence)


def _compared(
    model: nn.Layer,
    fused: nn.Layer,
    image: Sample,
    found: Sequence[np.ndarray],
    engine: Engine,
    evidence: Evidence,
) -> float:
    expected = arrays(forward(model, image))
    evidence.add(expected)

    def rounded() -> Mapping[str, float] | None:
        return rounding(model, image, expected, arrays(forward(fused, image)))

    try:
        return checked_error(expected, found, rounded, engine)
    except EngineError as problem:
        named = dict(zip(expected, found)) if len(expected) == len(found) else {}
        if has_other_numbers(model, image, expected, named):
            raise OtherNumberError(f"{str(problem).removesuffix(_WRONG)}: {WHY}") from problem
        if norm := norm_of_own_statistics(model):
            raise EngineError(
                f"{str(problem).removesuffix(_WRONG)}: {norm!r} normalises by "
                "each batch's own statistics in eval mode too (trainable_statistics, or "
                "use_global_stats=False), and the engine by the running ones"
            ) from problem
        raise


def _in_order(inputs: Inputs, others: Sequence[Inputs]) -> list[Inputs]:
    """An odd size comes first, and decides how the engine runs the files: some of its ways to resize are
    wrong where the factor is no whole number."""
    if others and picture_size(others[0]) != picture_size(inputs):
        return [others[0], inputs, *others[1:]]
    return [inputs, *others]


def _read(path: Path) -> list[np.ndarray]:
    with np.load(path) as file:
        return [file[f"arr_{index}"] for index in range(len(file.files))]


@contextlib.contextmanager
def naming(case: str) -> Iterator[None]:
    """Say in an engine's errors in which case they came up; nothing where that is ""."""
    try:
        yield
    except EngineError as problem:
        if not case:
            raise
        raise EngineError(case, problem) from problem


def _case(now: Inputs, given: Inputs) -> str:
    return "" if now is given else f"on an input of {_text(now.said)}: "


def _text(said: Any) -> str:
    """1x3x20x22; of several inputs their shapes by name."""
    if isinstance(said, Mapping):
        return ", ".join(f"{name} {_text(shape)}" for name, shape in said.items())
    return "x".join(map(str, said))


def checked_error(
    expected: Outputs,
    found: Sequence[np.ndarray],
    rounded: Callable[[], Mapping[str, float] | None] = lambda: None,
    engine: type[Engine] | Engine = Engine,
) -> float:
    """The largest of the outputs' differences, which has to be a small one.

    Args:
        expected: the network's outputs by name, in the order of Paddle's exported programs.
        found: the exported network's.
        rounded: called if they differ: how far rounding alone takes them.
        engine: what ran it; knows which error is right.

    Raises:
        EngineError: if the outputs have other shapes, or the error is above the tolerance.
    """
    if len(found) < len(expected):
        expected = _without_repeats(expected)
    names = list(expected) if len(expected) == len(found) else map(str, range(len(found)))
    tolerance = engine.tolerance
    named = {name: _without_rounding(expected.get(name), array, engine.rounding_of_one)
             for name, array in zip(names, found)}  # fmt: skip
    error = max(differences(expected, named).values(), default=0.0)
    if error <= tolerance or (
        len(named) == len(expected) and are_equal(expected, named, rounded(), tolerance)
    ):
        return error
    limit = f" (at most {tolerance:g} is right)" if np.isfinite(error) else ""
    raise EngineError(
        f"the exported network's {what_differs(expected, named)}{limit}; nothing was written{_WRONG}"
    )


def _without_rounding(
    expected: np.ndarray | None, found: np.ndarray, rounding_of_one: float
) -> np.ndarray:
    """Probabilities as expected where they are off by no more than an engine's sigmoid is."""
    if expected is None or expected.shape != found.shape or expected.dtype.kind != "f":
        return found
    if not rounding_of_one or not ((expected >= 0) & (expected <= 1)).all():
        return found
    return np.where(np.abs(found - expected) <= rounding_of_one, expected, found)


def _without_repeats(outputs: Outputs) -> Outputs:
    """Every output once: a traced program has a tensor once that a network returns twice."""
    kept: dict[str, np.ndarray] = {}
    for name, array in outputs.items():
        with_nan = array.dtype.kind == "f"
        if not any(np.array_equal(array, other, equal_nan=with_nan) for other in kept.values()):
            kept[name] = array
    return kept


def check_dtype(model: nn.Layer, engine: EngineName) -> None:
    """Refuse a network in float64 for engines that don't run such.

    Raises:
        EngineError: with the remedy.
    """
    if "float64" in str(input_dtype(model)) and not registry.engine(engine).runs_float64:
        raise EngineError(
            "the network computes in float64, which engines don't; cast it with "
            "network.to(dtype='float32'), and save that"
        )
