"""The worker's side: ``python -m spconvify.engines.worker JOB`` runs one network when asked to.

JOB is JSON: {"engine", "folder", "input_shape", "threads", "device"}. It then answers lines of JSON:
{"warm_up": seconds} with the number of runs that take that long, {"run": n} with n times in ms.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import zlib  # noqa: F401 - on Paddle 2.6 importing it after Paddle can crash
from typing import Any, Callable

import numpy as np


def main() -> None:
    """Load the network, then answer until the input ends."""
    job = json.loads(sys.argv[1])
    values = np.random.default_rng(0).standard_normal(job["input_shape"], dtype="float32")
    run = load(job, values)
    for line in sys.stdin:
        question = json.loads(line)
        if "warm_up" in question:
            answer: Any = runs_in(run, question["warm_up"])
        else:
            answer = [_milliseconds(run) for _ in range(question["run"])]
        print(json.dumps({"answer": answer}), flush=True)


def load(job: dict[str, Any], values: np.ndarray) -> Callable[[], None]:
    """A function that runs the network once and returns when it is done."""
    if job["engine"] == "eager":
        from spconvify.engines.eager import load
    else:
        from spconvify.engines.inference import load
    return load(job, values)


def runs_in(run: Callable[[], None], seconds: float) -> int:
    """Run for about `seconds`, at least five times; how many runs fit into that time."""
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 5 or time.perf_counter() - start < seconds:
        times.append(_milliseconds(run))
    return max(3, round(1000.0 * seconds / statistics.median(times)))


def _milliseconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return 1000.0 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
