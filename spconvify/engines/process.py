"""A worker process: started with its threads set, spoken to in lines, always ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from spconvify.errors import EngineError

# Set by the command line for its own speed; a timed network runs with Paddle's defaults.
MKL_VARIABLE = "MKL_DEBUG_CPU_TYPE"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """One network in one process; a context manager that ends the process.

    Args:
        job: what the worker runs; see `spconvify.engines.worker`.
        name: for error messages.
    """

    def __init__(self, job: dict[str, Any], name: str):
        self._name = name
        threads = str(job["threads"])
        environment = {**os.environ, **dict.fromkeys(_THREAD_VARIABLES, threads)}
        environment.pop(MKL_VARIABLE, None)
        # The network's own class may come from anywhere that this process can import from.
        environment["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [sys.executable, "-m", "spconvify.engines.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def warm_up(self, seconds: float) -> int:
        """Run until the time is steady; returns how many runs take about `seconds`."""
        return max(1, int(self._ask({"warm_up": seconds})))

    def run(self, runs: int) -> list[float]:
        """Milliseconds of each of `runs` runs."""
        return self._ask({"run": runs})

    def _ask(self, question: dict[str, Any]) -> Any:
        """Send a line and read the answer, the one line that starts with a brace.

        Raises:
            EngineError: if the worker ends instead of answering; with the end of what it said.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(json.dumps(question) + "\n")
            stdin.flush()
            for line in stdout:
                if line.startswith("{"):
                    return json.loads(line)["answer"]
        except BrokenPipeError:
            pass
        raise EngineError(f"timing the network {self._name!r} failed: {self._last_words()}")

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        telling = [line.strip() for line in lines if "Error" in line]
        return (telling or lines or [f"its process ended with code {code}"])[-1]
