"""The worker's side where one process runs several networks, each on random numbers.

Every question names a network by its place. {"load": FOLDER, "input_shape": …} is answered with
"loaded"; {"warm_up": seconds} and {"run": n} as in `worker`. The answers are {"result": …}, or
{"problem": text} where the network raised something, after which the process goes on with the others.
"""

from __future__ import annotations

import json
import time
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable

from spconvify.engines.base import Engine
from spconvify.engines.worker import block, engine_of, message, milliseconds, runs_in, serve
from spconvify.network.random_values import random_values


def main(job: dict[str, Any]) -> None:
    """Answer until the input ends."""
    serve(job, answers)


def answers(job: dict[str, Any], questions: Iterable[str]) -> Iterator[Any]:
    """Say that the process is there, and answer the lines of `questions`."""
    engine = engine_of(job)
    runs: dict[int, Callable[[], Any]] = {}
    yield "ready"
    for line in questions:
        try:
            yield {"result": _answer(json.loads(line), runs, engine, job)}
        # Whatever an engine raises. It isn't printed: that would be taken for the last words of the
        # process where that is ended later.
        except Exception as error:
            yield {"problem": message(error)}


def _answer(
    question: dict[str, Any], runs: dict[int, Callable[[], Any]], engine: Engine, job: dict[str, Any]
) -> Any:
    place = question["network"]
    if "load" in question:
        values = random_values(question["input_shape"])
        runs[place] = engine.load(Path(question["load"]), values, job["threads"], job["device"])
        return "loaded"
    is_alone = job["threads"] == 1 and job["device"] == "cpu"
    clock = own_milliseconds if is_alone else milliseconds
    if "warm_up" in question:
        return runs_in(runs[place], question["warm_up"], clock)
    return block(runs[place], question["run"], clock)


def own_milliseconds(run: Callable[[], Any]) -> float:
    """How long one run takes in which one thread computes, without what other processes have of it.

    Where the processor is shared, a run that takes longer than the system leaves a process alone has no
    minimum by the clock that would be its own.
    """
    start, used = time.perf_counter(), time.process_time()
    run()
    return 1000.0 * min(time.perf_counter() - start, time.process_time() - used)
