"""One convolution after the other, before and after: the rows of a comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spconvify.operators import registry

if TYPE_CHECKING:
    from paddle import nn

    from spconvify.network.counting import Cost
    from spconvify.surgery.planning import Plan

_LEFT = "left as it is"


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
    kept_copy: str = ""  # why the fit to images left the copied weights as they are
    form: str | None = None  # of the fused layer, where latency was measured
    in_channels_after: int | None = None  # both where channels are gone
    out_channels_after: int | None = None

    @property
    def kept(self) -> tuple[int, int] | None:
        """Input and output channels that are left, where some are gone."""
        if self.in_channels_after is None or self.out_channels_after is None:
            return None
        return self.in_channels_after, self.out_channels_after


def site_table(before: nn.Layer, plan: Plan) -> list[SiteComparison]:
    """A row for every convolution of `before`, without costs yet."""
    from spconvify.network.graph import channels_of
    from spconvify.network.replacement import Replacement
    from spconvify.surgery.refit import Refit
    from spconvify.surgery.sites import find_sites

    planned, rows, kept = plan.sites, [], plan.kept
    refitted = {change.site for change in plan.changes if isinstance(change, Refit)}
    for site in find_sites(before):
        conv: Any = site.layer
        channels = channels_of(conv)
        stride = conv.stride if isinstance(conv, Replacement) else conv._stride[0]
        settings = planned.get(site.name)
        reason = "" if settings else plan.skipped.get(site.name) or site.reason or _LEFT
        if not settings and (site.name in refitted or site.name in kept):
            reason = "dense, fitted anew"
        row = SiteComparison(site.name, settings is not None, reason, *channels, stride)
        if settings is not None:
            operator = registry.of_settings(settings)
            row.effective_ratio = operator.effective_ratio(channels[0], settings)
            row.groups = getattr(settings, "groups", None)
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


def mark_narrowed(rows: list[SiteComparison], after: nn.Layer) -> None:
    """Say which sites have fewer channels than before."""
    from spconvify.network.graph import channels_of
    from spconvify.surgery.sites import find_sites

    layers: dict[str, Any] = {site.name: site.layer for site in find_sites(after)}
    for row in rows:
        layer = layers.get(row.name)
        if layer is not None:
            channels = channels_of(layer)
            if channels == (row.in_channels, row.out_channels):
                continue
            row.in_channels_after, row.out_channels_after = channels
            row.reason = "narrowed" if row.reason == _LEFT else row.reason
