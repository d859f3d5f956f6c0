"""A worker process: started with its threads set, spoken to in lines, always ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from spconvify.engines.children import module_path
from spconvify.errors import EngineError

# Set by the command line for its own speed; a timed network runs with Paddle's defaults.
MKL_VARIABLE = "MKL_DEBUG_CPU_TYPE"
# A server keeps its memory, so timed networks do. By default glibc gives large blocks back to the system
# after every run and fetches them again, page by page, in some processes and not in others; and Paddle
# has a second thread free every tensor as soon as it is used up, which costs networks of many small
# operators most (`examples/benchmarks/latency.py --free-tensors`). The user's own settings come first.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(8 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
KEEP_TENSORS = {"FLAGS_eager_delete_tensor_gb": "-1"}
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """One network in one process; a context manager that ends the process.

    Args:
        job: what the worker runs; see `spconvify.engines.worker`.
        name: for error messages.
    """

    def __init__(self, job: dict[str, Any], name: str):
        self._name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        job = {**job, "cwd": os.getcwd(), "parent": os.getpid()}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "spconvify.engines.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # -m looks for modules where it starts: not in the user's folder, which may hold a random.py.
            cwd=job["folder"],
            env=environment(job["threads"], job["device"]),
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def wait_until_loaded(self) -> None:
        """Return when the network is loaded and the process idle.

        Raises:
            EngineError: as every method here does, if the network can't be loaded or run.
        """
        self._answer()

    def warm_up(self, seconds: float) -> int:
        """Run until the time is steady; returns how many runs take about `seconds`."""
        return self._ask({"warm_up": seconds})

    def run(self, runs: int) -> list[float]:
        """Milliseconds of each of `runs` runs."""
        return self._ask({"run": runs})

    def save_outputs(self, path: Path) -> int:
        """Run once and write the outputs to the .npz `path`; returns how many there are."""
        return self._ask({"save": str(path)})

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and _answer says how
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        reply = json.loads(line) if line.endswith("\n") else {"error": self._last_words()}
        if "error" in reply:
            raise EngineError(f"running the network {self._name!r} failed: {reply['error']}")
        return reply["answer"]

    def _last_words(self) -> str:
        """What a process that ended without an answer wrote last, or what ended it."""
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        telling = [line.strip() for line in lines if "Error" in line]
        if code < 0 and not telling:
            hint = " (not enough memory?)" if code == -signal.SIGKILL else ""
            return f"its process was ended by {signal.Signals(-code).name}{hint}"
        return (telling or lines or [f"its process ended with code {code}"])[-1]


def environment(threads: int, device: str = "cpu") -> dict[str, str]:
    """This process's environment, with thread counts, memory kept, and without what changes timings."""
    variables = {
        **memory_settings(device),
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
    }
    variables.pop(MKL_VARIABLE, None)
    # The network's own class may come from anywhere that this process can import from.
    variables["PYTHONPATH"] = module_path()
    return variables


def memory_settings(device: str = "cpu", engine: str = "") -> dict[str, str]:
    """The variables that make a process keep its memory; a GPU's tensors are freed as usual."""
    tensors = {} if device != "cpu" or engine == "onnxruntime" else KEEP_TENSORS
    return {**KEEP_MEMORY, **tensors}
