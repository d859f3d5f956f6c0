"""The worker's side: `children.start` has it run one network when asked to.

Its job is {"engine", "folder", "input_shape", "threads", "device", "mark"}; a "home" is the module that
has registered the engine, where that isn't spconvify's own, and an "input" the file of `save_values`
with what the network is run on, in place of random numbers. When the network is loaded it says
{"answer": "loaded"}, and then answers lines of JSON: {"warm_up": seconds} with the number of runs that
take that long, {"run": n} with n times in ms, {"how": true} with how the engine runs it, {"save": FILE}
with the number of outputs of one run, which are then in that .npz, {"kept": how, "input": FILE} with
"loaded" when it has loaded what is left of the files again, as `how` says, for that input. If anything
raises, it says {"error": text}. Every answer is a line that begins with the job's mark.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
import traceback
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Callable, TextIO

import numpy as np

from spconvify.engines import children, registry
from spconvify.engines.base import Engine
from spconvify.engines.feeds import read_values, save_arrays
from spconvify.errors import EngineError
from spconvify.network.random_values import random_values

Clock = Callable[[Callable[[], Any]], float]
Answers = Callable[[dict[str, Any], Iterable[str]], Iterator[Any]]


def main(job: dict[str, Any]) -> None:
    """Load the network, then answer until the input ends."""
    serve(job, answers)


def serve(job: dict[str, Any], answers: Answers) -> None:
    """Say what `answers` gives for a job and the lines of the input."""
    questions, pipe = _own_pipes()
    # What was printed before this, by a sitecustomize say, may have left a line without an end.
    print(file=pipe)
    try:
        for answer in answers(job, questions):
            print(job["mark"] + json.dumps({"answer": answer}), file=pipe, flush=True)
    except BaseException as error:  # a network may raise anything, SystemExit too
        traceback.print_exc()
        print(job["mark"] + json.dumps({"error": message(error)}), file=pipe, flush=True)
        sys.exit(1)


def _own_pipes() -> tuple[Iterable[str], TextIO]:
    """The pipes from and to the parent; a network that reads or prints gets others."""
    sys.stdout.flush()
    questions, pipe = sys.stdin, os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    sys.stdin = open(os.devnull)  # noqa: SIM115 - for the life of the process
    return questions, pipe


def answers(job: dict[str, Any], questions: Iterable[str]) -> Iterator[Any]:
    """Answer the lines of `questions` with the network of `job`, loaded first."""
    values = read_values(job["input"]) if "input" in job else random_values(job["input_shape"])
    engine = engine_of(job)
    folder, settings = Path(job["folder"]), (job["threads"], job["device"])
    run = engine.load(folder, values, *settings)
    yield "loaded"
    for line in questions:
        question = json.loads(line)
        if "warm_up" in question:
            yield runs_in(run, question["warm_up"])
        elif "how" in question:
            yield getattr(run, "how", {})
        elif "save" in question:
            outputs = [np.asarray(output) for output in run()]
            save_arrays(Path(question["save"]), outputs)
            yield len(outputs)
        elif "kept" in question:
            values = read_values(question["input"])
            run = engine.load_kept(folder, question["kept"], values, *settings)
            yield "loaded"
        else:
            yield block(run, question["run"])


def engine_of(job: dict[str, Any]) -> Engine:
    """The engine of a job; the module that has registered it in the parent is imported first."""
    name, home = job["engine"], job.get("home")
    if home:
        children.import_as_in_parent(home)
        if name not in registry.names():
            raise EngineError(f"engine {name!r} isn't registered when its module {home!r} is imported")
    return registry.engine(name)


def milliseconds(run: Callable[[], Any]) -> float:
    """How long one run takes."""
    start = time.perf_counter()
    run()
    return 1000.0 * (time.perf_counter() - start)


def runs_in(run: Callable[[], Any], seconds: float, time_of: Clock = milliseconds) -> int:
    """Run for about `seconds`, at least three times; how many runs fit into that time."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        times.append(time_of(run))
    return max(1, round(1000.0 * seconds / statistics.median(times)))


def block(run: Callable[[], Any], runs: int, time_of: Clock = milliseconds) -> list[float]:
    """The times of `runs` runs in a row, in ms."""
    if runs > 1:
        run()  # not timed: the other network's turn has filled the caches, which slows down the first
    return [time_of(run) for _ in range(runs)]


def message(error: BaseException) -> str:
    """What an error says, with its kind."""
    from spconvify.network.failures import first_line

    text = first_line(error)
    name = type(error).__name__
    return text if text.startswith(name) else f"{name}: {text}"
