"""Before and after in one plain object: what every table, file and plot is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spconvify.engines import Latency, speedup
from spconvify.settings import representative_channels

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.counting import Cost
    from spconvify.planning import Plan


@dataclass
class Side:
    """One of the two networks: parameters, MACs, bytes of weights, latency in ms (None: not measured).

    `overhead` is the part of `macs` that SPConv layers spend on pooling, gates and BatchNorm.
    """

    params: int
    macs: int
    bytes: int
    overhead: int = 0
    latency: Latency | None = None
    top1: float | None = None  # per cent, on images that were given with labels

    @classmethod
    def of(cls, cost: Cost, latency: Latency | None = None) -> Side:
        """The side that a `Cost` describes."""
        return cls(cost.params, cost.macs, cost.bytes, cost.overhead, latency)

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        latency = self.latency
        return {
            "params": self.params,
            "macs": self.macs,
            "spconv_overhead_macs": self.overhead,
            "latency_ms": latency and {"median": latency.median, "p10": latency.p10, "p90": latency.p90},
            "bytes": self.bytes,
            "top1": self.top1,
        }


@dataclass
class SiteComparison:
    """One convolution before and after; `eligible` is False where it was left alone, with the reason."""

    name: str
    eligible: bool
    reason: str
    in_channels: int
    out_channels: int
    stride: int
    effective_ratio: float | None = None
    groups: int | None = None
    params_before: int = 0
    params_after: int = 0
    macs_before: int = 0
    macs_after: int = 0
    error: float | None = None  # relative reconstruction error, where the weights were fitted


@dataclass
class Comparison:
    """Two networks side by side, and how they were measured."""

    model: str
    input_shape: tuple[int, ...]
    before: Side
    after: Side
    ratio: float | None = None
    groups: int | None = None
    fusion: str | None = None
    sites: list[SiteComparison] = field(default_factory=list)
    uncounted: list[str] = field(default_factory=list)
    engine: str | None = None
    threads: int | None = None
    device: str = "cpu"
    facts: dict[str, str] = field(default_factory=dict)  # engine version, CPU, dtype

    @property
    def batch(self) -> int:
        """Images in one input."""
        return self.input_shape[0]

    @property
    def converted(self) -> list[SiteComparison]:
        """The sites that were replaced."""
        return [site for site in self.sites if site.eligible]

    @property
    def speedup(self) -> float | None:
        """Median latency before / after; None if not measured, or if the p10-p90 intervals overlap."""
        if self.before.latency is None or self.after.latency is None:
            return None
        return speedup(self.before.latency, self.after.latency)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        return {
            "model": self.model,
            "input_shape": list(self.input_shape),
            "ratio": self.ratio,
            "groups": self.groups,
            "fusion": self.fusion,
            "engine": self.engine,
            "threads": self.threads,
            "batch": self.batch,
            "device": self.device,
            **{f"engine_{key}": value for key, value in self.facts.items()},
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "speedup": self.speedup,
            "sites": [vars(site) for site in self.sites],
            "uncounted": self.uncounted,
        }


def compare(
    before: nn.Layer,
    after: nn.Layer,
    input_shape: Sequence[int],
    engine: str | None = "inference",
    threads: int = 1,
    *,
    device: str = "cpu",
    name: str | None = None,
    plan: Plan | None = None,
    progress: Any = None,
) -> Comparison:
    """Put a network and its converted twin side by side: parameters, MACs and latency.

    Args:
        before: the original network.
        after: the converted one.
        input_shape: (N, C, H, W); N is the batch of the latency.
        engine: what runs them for the latency, each in a process of its own and alternately; None
            leaves the latency out.
        threads: CPU threads of the engine.
        device: "cpu" or "gpu:0".
        name: what to call the network; its class by default.
        plan: the plan that `after` was made with, for the reasons of what was left alone.
        progress: called with (done, total) while latency is measured.

    Raises:
        ArgumentError: if a network doesn't run on the input, or the engine or device is unknown.
        EngineError: if the engine isn't there or can't run a network.
    """
    from spconvify.counting import cost
    from spconvify.planning import plan_of

    shape = tuple(input_shape)
    plan = plan or plan_of(after)
    comparison = Comparison(
        name or type(before).__name__,
        shape,
        Side.of(cost_before := cost(before, shape)),
        Side.of(cost_after := cost(after, shape)),
        **common_settings(plan),
        sites=site_table(before, plan),
        uncounted=list(cost_after.uncounted),
    )
    fill_costs(comparison.sites, cost_before, cost_after)
    if engine is not None:
        add_latency(comparison, before, after, engine, threads, device, progress)
    return comparison


def add_latency(
    comparison: Comparison,
    before: nn.Layer,
    after: nn.Layer,
    engine: str,
    threads: int,
    device: str,
    progress: Any = None,
) -> None:
    """Measure both networks alternately and put the result into `comparison`."""
    from spconvify.engines import describe, measure

    networks = {"before": before, "after": after}
    latency = measure(
        networks,
        comparison.input_shape,
        engine=engine,
        threads=threads,
        device=device,
        progress=progress,
    )
    comparison.before.latency, comparison.after.latency = latency["before"], latency["after"]
    comparison.engine, comparison.threads, comparison.device = engine, threads, device
    comparison.facts = describe(engine, device)


def common_settings(plan: Plan) -> dict[str, Any]:
    """ratio, groups and fusion of a plan, each where all of its sites agree, else None."""
    values = {}
    for key in ("ratio", "groups", "fusion"):
        different = {getattr(settings, key) for settings in plan.sites.values()}
        values[key] = different.pop() if len(different) == 1 else None
    return values


def site_table(before: nn.Layer, plan: Plan) -> list[SiteComparison]:
    """A row for every convolution of `before`, without costs yet."""
    from spconvify.sites import find_sites
    from spconvify.spconv import SPConv2D

    rows = []
    for site in find_sites(before):
        conv: Any = site.layer
        if isinstance(conv, SPConv2D):
            channels, stride = (conv.in_channels, conv.out_channels), conv.stride
        else:
            channels, stride = (conv._in_channels, conv._out_channels), conv._stride[0]
        settings = plan.sites.get(site.name)
        reason = "" if settings else plan.skipped.get(site.name) or site.reason or "left as it is"
        row = SiteComparison(site.name, settings is not None, reason, *channels, stride)
        if settings is not None:
            kept = representative_channels(channels[0], settings.ratio, settings.groups)
            row.effective_ratio, row.groups = kept / channels[0], settings.groups
        rows.append(row)
    return rows


def fill_costs(
    rows: list[SiteComparison], before: Cost | None = None, after: Cost | None = None
) -> None:
    """Put each site's parameters and MACs into its row, for the sides that are given."""
    for side, cost in (("before", before), ("after", after)):
        layers = {layer.name: layer for layer in cost.layers} if cost else {}
        for row in rows:
            if row.name in layers:
                setattr(row, f"params_{side}", layers[row.name].params)
                setattr(row, f"macs_{side}", layers[row.name].macs)
