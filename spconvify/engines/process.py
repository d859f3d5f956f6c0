"""A worker process: started with its threads set, spoken to in lines, always ended."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spconvify.engines import registry
from spconvify.engines.children import end, own_temporary, start
from spconvify.engines.last_words import telling
from spconvify.engines.patience import SLICE_SECONDS, Patience
from spconvify.engines.registry import EngineName
from spconvify.errors import EngineError
from spconvify.settings import DEFAULT_ENGINE

# Set by the command line for its own speed; a timed network runs with Paddle's defaults.
MKL_VARIABLE = "MKL_DEBUG_CPU_TYPE"
_SECONDS_TO_END = 10.0  # for a process that was killed, or has closed its output
_LAST_BYTES = 1 << 16  # of what it has written
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Worker:
    """One network in one process; a context manager that ends the process.

    Args:
        job: what the worker runs; see `spconvify.engines.worker`.
        name: for error messages.
    """

    module = "spconvify.engines.worker"  # what runs there

    def __init__(self, job: dict[str, Any], name: str):
        home = registry.home(job["engine"])
        self._name = name
        self._mark = os.urandom(8).hex()  # of answers: whatever else is printed isn't one
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        folder = Path(job["folder"]).absolute()
        variables = environment(job["threads"], job["device"], job["engine"])
        with contextlib.ExitStack() as stack:
            self._process = start(
                self.module,
                {**job, "folder": str(folder), "mark": self._mark, "home": home},
                folder,
                stack.enter_context(own_temporary(variables)),
                self._errors,
            )
            self._temporary = stack.pop_all()  # until __exit__
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        with self._temporary:
            self._end()

    def _end(self) -> None:
        end(self._process)
        self._listener.join(_SECONDS_TO_END)
        pipes = [self._process.stdin, self._errors]
        # What a process of the worker's still holds is read, and closing it would wait.
        pipes += [] if self._listener.is_alive() else [self._process.stdout]
        for pipe in pipes:
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()

    def wait_until_loaded(self) -> None:
        """Return when the network is loaded and the process idle.

        Raises:
            EngineError: as every method here does, if the network can't be loaded or run, or the
                process doesn't answer.
        """
        self._answer()

    def warm_up(self, seconds: float) -> int:
        """Run until the time is steady; returns how many runs take about `seconds`."""
        return self._ask({"warm_up": seconds})

    def run(self, runs: int) -> list[float]:
        """Milliseconds of each of `runs` runs."""
        return self._ask({"run": runs})

    def how(self) -> dict[str, Any]:
        """How the engine runs the network: whatever its `load` tells."""
        return self._ask({"how": True})

    def load_kept(self, how: Mapping[str, Any], values: str) -> None:
        """Load what the engine has kept of the files, as `how` says, for the values of that file."""
        self._ask({"kept": how, "input": values})

    def save_outputs(self, path: Path) -> int:
        """Run once and write the outputs to the .npz `path`; returns how many there are."""
        return self._ask({"save": str(path.absolute())})

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and _answer says how
        return self._answer()

    def _listen(self) -> None:
        """Keep the answers; None when there will be no more."""
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                if line.startswith(self._mark) and line.endswith("\n"):
                    self._answers.put(line[len(self._mark) :])
        self._answers.put(None)

    def _answer(self) -> Any:
        line = self._next_line()
        reply = {"error": self._last_words()} if line is None else json.loads(line)
        if "error" in reply:
            raise EngineError(f"running the network {self._name!r} failed: {reply['error']}")
        return reply["answer"]

    def _next_line(self) -> str | None:
        patience = Patience(self._process.pid)
        while True:
            with contextlib.suppress(queue.Empty):
                line = self._answers.get(timeout=SLICE_SECONDS)
                if line is None:
                    self._answers.put(None)  # for whoever asks again
                return line
            try:
                patience.check()
            except EngineError as problem:
                end(self._process)
                raise EngineError(f"running the network {self._name!r} failed: {problem}") from None

    def _last_words(self) -> str:
        """What a process that ended without an answer wrote last, or what ended it."""
        code = end(self._process, _SECONDS_TO_END)
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_BYTES))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        errors = telling(lines)
        if code < 0 and not errors:
            hint = " (not enough memory?)" if code == -signal.SIGKILL else ""
            return f"its process was ended by {signal.Signals(-code).name}{hint}"
        return (errors or lines or [f"its process ended with code {code}"])[-1]


def environment(
    threads: int, device: str = "cpu", engine: EngineName = DEFAULT_ENGINE
) -> dict[str, str]:
    """This process's environment, with thread counts, memory kept, and without what changes timings."""
    variables = {
        **registry.engine(engine).memory(device),
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
    }
    variables.pop(MKL_VARIABLE, None)
    return variables
