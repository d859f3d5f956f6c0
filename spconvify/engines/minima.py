"""The shortest times of many small networks, all in one process.

`measure` compares a few networks as exactly as it can, each in a process of its own. Here there are
hundreds, and a process for each would take longer than all of the runs. Whatever else a machine does
only makes a run longer, so the minimum of repeated runs is what a network takes by itself; minima of
parts add up to that of the whole, where medians don't.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Union

from spconvify.engines import registry
from spconvify.engines.base import HandOver
from spconvify.engines.process import Worker
from spconvify.engines.registry import EngineName
from spconvify.engines.support import check_engine, check_threads
from spconvify.errors import EngineError
from spconvify.files.scratch import scratch_folder
from spconvify.settings import DEFAULT_ENGINE

if TYPE_CHECKING:
    from paddle import nn

BLOCK_SECONDS = 0.03
_LEAST_RUNS = 3  # of a block, however long they take
LEAST_ROUNDS, MOST_ROUNDS = 5, 12
# Once the minima of the best so many blocks are that close, by the best one, another tells nothing new.
_AGREEING, _CLOSE = 3, 1.02
_MOST_DEATHS = 3  # of a process: then it isn't a network's fault


@dataclass(frozen=True)
class SmallNetwork:
    """One of many networks that are timed: `build` makes it when it is due."""

    build: Callable[[], nn.Layer]
    input_shape: Sequence[int]


Minimum = Union[float, EngineError]


def minima(
    networks: Mapping[str, SmallNetwork],
    *,
    engine: EngineName = DEFAULT_ENGINE,
    threads: int = 1,
    device: str = "cpu",
    seconds: float = BLOCK_SECONDS,
    progress: Callable[[float, int], None] | None = None,
) -> dict[str, Minimum]:
    """Time every network on random float32 numbers: the minimum in ms, or why it can't be run.

    All are loaded into one process, whose thread counts are set before Paddle is loaded, and take turns,
    a block of runs each, until the best three blocks of a network agree. A network that ends the process
    is left out, and the others go on in another one.

    Args:
        networks: by name; all of them are in memory at once.
        engine: what runs them, by name; see `spconvify.engines.registry`.
        threads: CPU threads.
        device: "cpu" or "gpu:0" (synchronised around every run).
        seconds: of each network's turn; at least three runs.
        progress: called with (done, total), in parts of networks.

    Raises:
        ArgumentError: for an unknown engine or device, or threads < 1.
        EngineError: if the device isn't there, or no process for the networks can be kept alive.
    """
    check_engine(engine, device)
    check_threads(threads)
    told = _Told(progress, len(networks))
    with scratch_folder() as folder:
        handed = [
            _HandedOver(place, name, _made(folder / str(place)), list(network.input_shape))
            for place, (name, network) in enumerate(networks.items())
        ]
        problems = registry.engine(engine).write_all(
            [
                HandOver(told.of(network.build), one.folder, network.input_shape)
                for one, network in zip(handed, networks.values())
            ]
        )
        for place, problem in problems.items():
            handed[place].problem = problem
        job = {"engine": engine, "threads": threads, "device": device, "folder": str(folder)}
        _Series(job, handed, seconds, told).run()
    return {one.name: one.found for one in handed}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@dataclass
class _HandedOver:
    """A network that is in a folder, and what is known of it: the minimum of each block of runs."""

    place: int
    name: str
    folder: Path
    input_shape: list[int]
    blocks: list[float] = field(default_factory=list)
    problem: EngineError | None = None

    @property
    def is_settled(self) -> bool:
        if self.problem is not None or len(self.blocks) >= MOST_ROUNDS:
            return True
        if len(self.blocks) < LEAST_ROUNDS:
            return False
        best = sorted(self.blocks)[:_AGREEING]
        return best[-1] <= _CLOSE * best[0]

    @property
    def found(self) -> Minimum:
        return min(self.blocks) if self.problem is None else self.problem


class _Told:
    """Tells how far it is: a third of a network when it is made, loaded, and timed."""

    def __init__(self, progress: Callable[[float, int], None] | None, total: int):
        self._progress, self._total, self._steps = progress, total, 0

    def step(self, steps: int = 1) -> None:
        self._steps += steps
        if self._progress is not None:
            self._progress(min(self._steps / 3, self._total), self._total)

    def of(self, build: Callable[[], Any]) -> Callable[[], Any]:
        def built() -> Any:
            self.step()
            return build()

        return built


class _Several(Worker):
    """A process with several networks; see `spconvify.engines.several`."""

    module = "spconvify.engines.several"

    def ask(self, one: _HandedOver, **question: Any) -> Any:
        """The answer about one network; None where it turns out that it doesn't run: its `problem`.

        Raises:
            EngineError: if the process is lost.
        """
        self._name = one.name
        reply = self._ask({"network": one.place, **question})
        if "problem" in reply:
            one.problem = EngineError(f"running the network {one.name!r} failed: {reply['problem']}")
        return reply.get("result")


class _Series:
    """The networks of one call, timed in one process, or in the next where one is lost."""

    def __init__(
        self, job: dict[str, Any], networks: Sequence[_HandedOver], seconds: float, told: _Told
    ):
        self._job, self._networks, self._seconds, self._told = job, networks, seconds, told
        self._asked: _HandedOver | None = None

    def run(self) -> None:
        """Time each until it is settled."""
        deaths = 0
        while any(not one.is_settled for one in self._networks):
            worker = _Several(self._job, "networks")
            with worker:
                worker.wait_until_loaded()
                try:
                    self._time(worker)
                except EngineError as problem:
                    deaths += 1
                    if deaths > _MOST_DEATHS or self._asked is None:
                        raise
                    self._asked.problem = problem

    def _unsettled(self) -> Iterator[_HandedOver]:
        for one in self._networks:
            if not one.is_settled:
                self._asked = one
                yield one

    def _time(self, worker: _Several) -> None:
        for one in self._unsettled():
            worker.ask(one, load=str(one.folder), input_shape=one.input_shape)
            self._told.step()
        runs = {one.place: worker.ask(one, warm_up=self._seconds) for one in self._unsettled()}
        for _ in range(MOST_ROUNDS):
            for one in self._unsettled():
                times = worker.ask(one, run=max(_LEAST_RUNS, runs[one.place]))
                one.blocks += [] if times is None else [min(times)]
                self._told.step(one.is_settled)
