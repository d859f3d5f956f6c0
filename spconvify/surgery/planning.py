"""The plan: which site gets which SPConv; data that can be printed, saved and replayed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.operators.spconv.keys import SPConvKeys
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.settings import (
    DEFAULT_FUSION,
    DEFAULT_GROUPS,
    DEFAULT_RATIO,
    SPConvSettings,
    representative_channels,
)
from spconvify.surgery.sites import Site, find_sites

FORMAT = "spconvify-plan-1"


@dataclass
class Plan:
    """Site name -> settings, in the order of the network, and why the other sites are left alone."""

    sites: dict[str, SPConvSettings] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.sites)

    def __str__(self) -> str:
        lines = [
            f"{name or '(root)'}: ratio {s.ratio:g}, groups {s.groups}, {s.fusion}"
            for name, s in self.sites.items()
        ]
        lines += [f"{name or '(root)'}: skipped, {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)

    def to_json(self) -> str:
        """The plan as JSON text, for `from_json`."""
        sites = {name: asdict(settings) for name, settings in self.sites.items()}
        return json.dumps({"format": FORMAT, "sites": sites, "skipped": self.skipped}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote.

        Raises:
            ArgumentError: if the text isn't such JSON, or a setting is out of range.
        """
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ArgumentError(f"plan format {data['format']!r} is unknown; expected {FORMAT!r}")
            sites = {name: SPConvSettings(**settings) for name, settings in data["sites"].items()}
            plan = cls(sites, dict(data["skipped"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"this isn't a plan written by Plan.to_json: {error!r}") from error
        for settings in sites.values():
            settings.check()
        return plan


def plan(
    model: nn.Layer,
    ratio: float = DEFAULT_RATIO,
    groups: int = DEFAULT_GROUPS,
    *,
    fusion: str = DEFAULT_FUSION,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
    ratios: Mapping[str, float] | None = None,
) -> Plan:
    """Decide which convolutions of `model` become which SPConv; changes nothing.

    Args:
        model: the network.
        ratio: share of the input channels that stay representative, in (0, 1).
        groups: groups of the 3x3 convolution.
        fusion: "gap" or "sum".
        include: globs over structured names; only sites that match one are converted.
        exclude: globs; sites that match one are left alone.
        ratios: glob -> ratio for the sites that match it; of several matches the last one counts.

    Raises:
        ArgumentError: for a ratio, group or fusion that can't be, a glob that matches no convolution,
            or groups that fit none of the network's convolutions.
    """
    SPConvSettings(ratio, groups, fusion).check()
    for own_ratio in (ratios or {}).values():
        SPConvSettings(own_ratio, groups, fusion).check()
    sites = find_sites(model)
    included, excluded = _globs(include), _globs(exclude)
    _check_globs(sites, {"include": included, "exclude": excluded, "ratio-for": list(ratios or {})})

    result, unsplittable = Plan(), {}
    for site in sites:
        settings = SPConvSettings(_ratio_for(site, ratio, ratios or {}), groups, fusion)
        reason = site.reason or _left_out(site, included, excluded)
        if not reason:
            reason = unsplittable[site.name] = _cannot_split(site, settings)
        if reason:
            result.skipped[site.name] = reason
        else:
            result.sites[site.name] = settings
    if unsplittable and all(unsplittable.values()):
        name, reason = next(iter(unsplittable.items()))
        raise ArgumentError(f"groups {groups} fits no convolution of this network; {name!r}: {reason}")
    return result


def plan_from_keys(sites: Mapping[str, SPConvKeys]) -> Plan:
    """The plan that a converted checkpoint was made with, read off its keys and shapes."""
    return Plan(
        {
            name: SPConvSettings(
                keys.representative / keys.in_channels,
                keys.groups,
                keys.fusion,
                keys.bias,
                keys.channels,
            )
            for name, keys in sites.items()
        }
    )


def plan_of(model: nn.Layer) -> Plan:
    """The plan that a converted network was made with, read off its SPConv2D layers."""
    sites = {}
    for site in find_sites(model):
        layer: Any = site.layer
        if isinstance(layer, SPConv2D):
            sites[site.name] = SPConvSettings(
                layer.representative / layer.in_channels,
                layer.groups,
                layer.fusion,
                layer.conv1x1.bias is not None,
                layer.channels is not None,
            )
    return Plan(sites)


def _cannot_split(site: Site, settings: SPConvSettings) -> str:
    layer: Any = site.layer
    if layer._out_channels % settings.groups:
        return f"{layer._out_channels} output channels can't be split into {settings.groups} groups"
    try:
        representative_channels(layer._in_channels, settings.ratio, settings.groups)
    except ArgumentError as error:
        return str(error)
    return ""


def _globs(globs: Iterable[str] | str | None) -> list[str]:
    if globs is None:
        return []
    return [globs] if isinstance(globs, str) else list(globs)


def _matches(site: Site, glob: str) -> bool:
    return any(fnmatchcase(name, glob) for name in (site.name, *site.aliases))


def _check_globs(sites: list[Site], globs_by_option: Mapping[str, list[str]]) -> None:
    for option, globs in globs_by_option.items():
        for glob in globs:
            if not any(_matches(site, glob) for site in sites):
                some = ", ".join(repr(site.name) for site in sites[:3]) or "none"
                raise ArgumentError(
                    f"{option} {glob!r} matches no convolution of this network; it has {some}"
                    + (f" and {len(sites) - 3} more" if len(sites) > 3 else "")
                    + " (see `spconvify inspect`)"
                )


def _left_out(site: Site, included: list[str], excluded: list[str]) -> str:
    if included and not any(_matches(site, glob) for glob in included):
        return "not included"
    return "excluded" if any(_matches(site, glob) for glob in excluded) else ""


def _ratio_for(site: Site, ratio: float, ratios: Mapping[str, float]) -> float:
    for glob, own in ratios.items():
        if _matches(site, glob):
            ratio = own
    return ratio
