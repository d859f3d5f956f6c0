"""Times of whole networks, to which a search holds what the layers' times add up to."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError, Option
from spconvify.network.inputs import Inputs
from spconvify.operators.inits import DEFAULT_INIT
from spconvify.progress import Progress
from spconvify.search.choice import Choice
from spconvify.search.latency import LatencyCosts
from spconvify.search.search import Search
from spconvify.search.structure import Structure
from spconvify.surgery.convert import carry_out
from spconvify.workflow.timing import Setting


class WholeTimer:
    """Times the network and what becomes of it in the engine of a budget."""

    def __init__(
        self, model: nn.Layer, shape: Any, setting: Setting | None, search: Search, progress: Progress
    ):
        from spconvify.engines import registry

        if setting is None:
            raise ArgumentError("a speed-up is measured: give ", Option("engine"))
        self._model, self._setting, self._search = model, setting, search
        self._inputs = Inputs.of(setting.inputs(shape), model)
        self._progress = progress
        self.label = registry.label(setting.engine)

    def costs(self, structure: Structure) -> LatencyCosts:
        """The layers' times, held to the network's own."""
        from spconvify.deploy.layer_times import LayerTimes

        where = self._setting.engine, self._setting.threads, self._setting.device
        total = self._measured({"original": self._model})["original"]
        return LatencyCosts.measured(structure, LayerTimes(*where), total, self._progress)

    def speedup(self, choice: Choice) -> float:
        """That of a choice, with weights as they come: those don't change the time."""
        plan = self._search.plan(choice)
        if not plan.changes:
            return 1.0
        network, _ = carry_out(
            self._model,
            plan,
            init=DEFAULT_INIT,
            input_shape=self._inputs.brief,
            judge_copies=False,  # it is timed, and thrown away
        )
        found = self._measured({"original": self._model, "slim": network})
        return found["original"] / found["slim"]

    def _measured(self, networks: dict[str, nn.Layer]) -> dict[str, float]:
        from spconvify.deploy.timing import fuse_for_deployment
        from spconvify.engines import measure

        setting = self._setting
        fused = {
            name: fuse_for_deployment(network, self._inputs, setting.engine)
            for name, network in networks.items()
        }
        found = measure(
            fused,
            self._inputs.brief,
            engine=setting.engine,
            threads=setting.threads,
            device=setting.device,
            progress=lambda done, total: self._progress(done, total, f"timing in {self.label}"),
        )
        return {name: latency.median for name, latency in found.items()}
