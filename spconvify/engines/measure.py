"""Time networks against each other: each in a process of its own, run alternately."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

from spconvify.engines import registry
from spconvify.engines.feeds import save_values
from spconvify.engines.latency import Latency
from spconvify.engines.process import Worker
from spconvify.engines.registry import EngineName
from spconvify.engines.support import check_engine, check_threads
from spconvify.files.scratch import scratch_folder
from spconvify.settings import DEFAULT_ENGINE

if TYPE_CHECKING:  # the command line asks the engines for their names before it loads Paddle
    from spconvify.network.inputs import Inputs

ROUNDS = 8
# A block must be long enough to reach its steady state, and the whole stay a matter of seconds.
BLOCK_SECONDS = 0.4


def measure(
    networks: Mapping[str, Any],
    input_shape: Any,
    *,
    engine: EngineName = DEFAULT_ENGINE,
    threads: int = 1,
    device: str = "cpu",
    seconds: float = BLOCK_SECONDS,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Latency]:
    """Time every network on one random float32 input, in ms.

    Each network runs in a fresh process, whose thread counts are set before Paddle is loaded. After a
    warm-up they take turns, a block of runs each, so that a slow moment of the machine hits all.

    Args:
        networks: name -> ``nn.Layer``; they come back unchanged.
        input_shape: (N, C, H, W), or `Inputs`.
        engine: what runs them, by name; see `spconvify.engines.registry`.
        threads: CPU threads.
        device: "cpu" or "gpu:0" (synchronised around every run).
        seconds: of each network's turn, of which there are `ROUNDS`; at least one run.
        progress: called with (done, total) turns.

    Raises:
        ArgumentError: for an unknown engine or device, or threads < 1.
        EngineError: if the device isn't there, or a network can't be handed over or run.
    """
    check_engine(engine, device)
    check_threads(threads)
    from spconvify.network.inputs import Inputs

    inputs = Inputs.of(input_shape, next(iter(networks.values())))
    job: dict[str, Any] = {"engine": engine, "threads": threads, "device": device}
    with scratch_folder() as folder, contextlib.ExitStack() as stack:
        job.update(_what_to_run_on(inputs, folder))
        workers = {}
        for index, (name, network) in enumerate(networks.items()):
            place = folder / str(index)
            place.mkdir()
            hand_over(engine, network, place, inputs)
            workers[name] = stack.enter_context(Worker({**job, "folder": str(place)}, name))
        # Loading keeps the processor busy: nothing is timed before the last one is done.
        for worker in workers.values():
            worker.wait_until_loaded()
        return _take_turns(workers, seconds, progress)


def hand_over(engine: EngineName, network: Any, folder: Path, inputs: Inputs) -> None:
    """Write `network` into `folder` in the form that the engine's `load` reads in the worker."""
    registry.engine(engine).write(network, folder, inputs.brief)


def _what_to_run_on(inputs: Inputs, folder: Path) -> dict[str, Any]:
    """The part of a job that says so: random numbers, but for what more is known of than its shape."""
    if inputs.brief is not inputs:
        return {"input_shape": list(inputs.first.sizes)}
    return {"input": save_values(inputs.values(), folder)}


def _take_turns(
    workers: Mapping[str, Worker], seconds: float, progress: Callable[[int, int], None] | None
) -> dict[str, Latency]:
    samples: dict[str, list[float]] = {name: [] for name in workers}
    runs = {name: worker.warm_up(seconds) for name, worker in workers.items()}
    for turn in range(ROUNDS):
        for name, worker in workers.items():
            samples[name] += worker.run(runs[name])
        if progress is not None:
            progress(turn + 1, ROUNDS)
    return {name: Latency.of(values) for name, values in samples.items()}
