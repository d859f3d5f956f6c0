"""Which engines there are here, and what a caption says of them."""

from __future__ import annotations

from spconvify.engines import registry
from spconvify.engines.devices import processor
from spconvify.engines.patience import limit
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError, EngineError


def check_engine(engine: EngineName, device: str = "cpu") -> None:
    """Refuse an engine or a device that isn't there. Loads Paddle only to look for a GPU.

    Raises:
        ArgumentError: for a name that is unknown.
        EngineError: for something that isn't installed or isn't there; it says what to do.
    """
    limit()  # of the time that its processes have
    registry.engine(engine).check(device)


def check_threads(threads: int) -> None:
    """Refuse a number of threads that can't be.

    Raises:
        ArgumentError: says which.
    """
    if type(threads) is not int and not hasattr(threads, "__index__"):
        raise ArgumentError(f"threads {threads!r} isn't a whole number; the usual choice is 1")
    if threads < 1:
        raise ArgumentError(f"threads {threads} is less than 1; the usual choice is 1")


def usable_engines(device: str) -> list[str]:
    """The engines that there are here for `device`: what ``--engine all`` means."""
    skipped = skipped_engines(device)
    return [engine for engine in registry.names() if engine not in skipped]


def skipped_engines(device: str) -> dict[str, EngineError]:
    """The others: each with what it lacks."""
    skipped = {}
    for engine in registry.names():
        try:
            check_engine(engine, device)
        except EngineError as problem:
            skipped[engine] = problem
    return skipped


def describe(engine: EngineName, device: str = "cpu") -> dict[str, str]:
    """The facts for a caption: version of the engine, name of the processor, dtype."""
    version = registry.engine(engine).version()
    return {"version": version, "processor": processor(device), "dtype": "float32"}
