"""LayerTimes: how long a layer takes in an engine, for as many layers as a search wants to know of.

Of every layer the minimum of repeated timings counts, in the form that the engine has by default and in
the surroundings in which forms are timed, without the time of these. Such minima add up to the time of a
whole network within a few per cent (`benchmarks/layer_times.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from spconvify.deploy.layer_networks import LayerNetwork, with_layer, without_layer
from spconvify.deploy.layer_shape import LayerShape
from spconvify.deploy.setting import Setting
from spconvify.deploy.times_cache import TimesCache
from spconvify.deploy.width_grid import Channels, between
from spconvify.engines.minima import SmallNetwork, minima
from spconvify.engines.registry import EngineName
from spconvify.engines.support import check_engine, check_threads
from spconvify.errors import EngineError
from spconvify.progress import Progress, nothing

__all__ = ["LayerShape", "LayerTimes"]

_MINIMUM = "minimum"  # what the cache calls such a time, where it has those of forms beside
_AT_ONCE_BYTES = 1 << 30  # of networks in one process
_AT_ONCE = 100
_SHORTEST_MS = 1e-3  # of a layer: less than that is rounding
_ANY = 0  # number of channels


class LayerTimes:
    """Times of layers in an engine, measured once, and remembered in the user's cache.

    Given that cache, everything here is deterministic.

    Args:
        engine: what runs them, by name; see `spconvify.engines.registry`.
        threads: CPU threads.
        device: "cpu" or "gpu:0".
        cache: where times are remembered; the user's cache folder by default.

    Attributes:
        problems: why a layer can't be run in the engine; its time is infinite.

    Raises:
        ArgumentError: for an unknown engine or device, or threads < 1.
        EngineError: if the engine or the device isn't there.
    """

    def __init__(
        self,
        engine: EngineName,
        threads: int = 1,
        device: str = "cpu",
        cache: TimesCache | None = None,
    ):
        check_engine(engine, device)
        check_threads(threads)
        self._setting = Setting(engine, threads, device)
        self._cache = cache or TimesCache()
        self._prefix = self._setting.key()
        self._times: dict[LayerShape, float] = {}
        self.problems: dict[LayerShape, str] = {}

    def measure(self, shapes: Iterable[LayerShape], progress: Progress = nothing) -> None:
        """Time all layers that aren't known yet.

        They are timed in groups of as many as memory takes, each in one process, and remembered group
        by group: who is interrupted goes on with the next. A layer that can't be run gets the time
        `math.inf`; see `problems`.

        Args:
            shapes: the layers; each counts once.
            progress: called with (done, total, text).

        Raises:
            EngineError: if none of them can be run.
        """
        wanted = list(dict.fromkeys(shapes))
        networks = {shape: [with_layer(shape), *without_layer(shape)] for shape in wanted}
        by_key = {network.key: network for parts in networks.values() for network in parts}
        missing = [network for key, network in by_key.items() if self._known(key) is None]
        problems: dict[str, EngineError] = {}
        done = 0
        for group in _groups(missing):
            problems |= self._time(group, partial(self._say, progress, done, len(missing)))
            done += len(group)
        for shape, (own, *around) in networks.items():
            failed = [problems[part.key] for part in (own, *around) if part.key in problems]
            self.problems.pop(shape, None)
            if failed:
                self.problems[shape] = str(failed[0])
            self._times[shape] = math.inf if failed else self._rest(shape, own, around)
        if problems and all(math.isinf(self._times[shape]) for shape in wanted):
            raise next(iter(problems.values()))

    def __getitem__(self, shape: LayerShape) -> float:
        """The time of a layer that `measure` was given, in ms; `math.inf` if it can't be run.

        Raises:
            KeyError: for any other.
        """
        return self._times[shape]

    def __contains__(self, shape: object) -> bool:
        return shape in self._times

    def estimate(self, shape: LayerShape) -> float:
        """The time of a layer that differs from measured ones in its numbers of channels, in ms.

        The time itself where it was measured; otherwise see `between`.

        Raises:
            KeyError: if no layer was measured that is otherwise the same.
        """
        if shape in self._times:
            return self._times[shape]
        family = _family(shape)
        alike = {
            _channels(known): time for known, time in self._times.items() if _family(known) == family
        }
        if not alike:
            raise KeyError(shape)
        return between(alike, _channels(shape))

    def _known(self, key: str) -> float | None:
        times = self._cache.times(f"{self._prefix}, {key}", {_MINIMUM})
        return None if times is None else times[_MINIMUM]

    def _rest(self, shape: LayerShape, own: LayerNetwork, around: Sequence[LayerNetwork]) -> float:
        """What is left for the layer of the time of its network."""
        time, *others = (self._known(network.key) or 0.0 for network in (own, *around))
        return max(time - sum(others) / len(others), _SHORTEST_MS) / shape.ends.repeats

    def _say(self, progress: Progress, before: int, total: int, done: float, _: int) -> None:
        progress(before + done, total, f"timing layers in {self._setting.engine}")

    def _time(
        self, group: Sequence[LayerNetwork], progress: Callable[[float, int], None]
    ) -> dict[str, EngineError]:
        """Time networks and remember what they take; the errors of those that can't be run."""
        setting = self._setting
        networks = {
            network.key: SmallNetwork(partial(network.build, setting.engine), network.input_shape)
            for network in group
        }
        found = minima(
            networks,
            engine=setting.engine,
            threads=setting.threads,
            device=setting.device,
            progress=progress,
        )
        problems = {key: time for key, time in found.items() if isinstance(time, EngineError)}
        times = {key: time for key, time in found.items() if not isinstance(time, EngineError)}
        self._cache.remember(
            {f"{self._prefix}, {key}": {_MINIMUM: time} for key, time in times.items()}, {}
        )
        return problems


def _groups(networks: Iterable[LayerNetwork]) -> Iterator[list[LayerNetwork]]:
    """As many as one process can have in memory, and as is not too much to lose."""
    group: list[LayerNetwork] = []
    for network in networks:
        memory = sum(other.memory for other in group) + network.memory
        if group and (memory > _AT_ONCE_BYTES or len(group) == _AT_ONCE):
            yield group
            group = []
        group.append(network)
    if group:
        yield group


def _family(shape: LayerShape) -> LayerShape:
    """The same for all layers that differ in nothing but their numbers of channels."""
    return replace(shape.narrowed(_ANY, _ANY), groups=_ANY if shape.is_depthwise else shape.groups)


def _channels(shape: LayerShape) -> Channels:
    # A depthwise convolution has only one number.
    return (shape.in_channels, 1 if shape.is_depthwise else shape.out_channels)
