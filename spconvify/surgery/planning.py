"""The plan: which changes a network gets; data that can be printed, saved and replayed."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from paddle import nn

from spconvify.calibration.task import Kept
from spconvify.errors import ArgumentError
from spconvify.operators import registry
from spconvify.operators.recognised import Shapes
from spconvify.operators.spconv.settings import (
    DEFAULT_FUSION,
    DEFAULT_GROUPS,
    DEFAULT_RATIO,
    SPConvSettings,
)
from spconvify.surgery.changes import KINDS, Change, Narrow, Replace, change_from
from spconvify.surgery.globs import check_globs, checked_globs, globs_of, left_out, ratio_for
from spconvify.surgery.sites import find_sites

FORMAT = "spconvify-plan-2"
_FORMER_FORMAT = "spconvify-plan-1"  # site name -> settings of an SPConv


@dataclass(init=False)
class Plan:
    """The changes in the order of the network, and why the other sites are left alone.

    Args:
        changes: a row of `Change`, or site name -> settings for what is replaced.
        skipped: site name -> reason.
    """

    changes: list[Change] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def __init__(
        self,
        changes: Mapping[str, Any] | Iterable[Change] = (),
        skipped: Mapping[str, str] | None = None,
    ):
        if isinstance(changes, Mapping):
            changes = [Replace(name, settings) for name, settings in changes.items()]
        self.changes, self.skipped = list(changes), dict(skipped or {})

    @property
    def sites(self) -> dict[str, Any]:
        """Site name -> settings of everything that is replaced, as a dictionary of its own."""
        return {change.site: change.settings for change in self.changes if isinstance(change, Replace)}

    @property
    def kept(self) -> dict[str, Kept]:
        """Site name -> which of its channels are left, for those that are narrowed."""
        found: dict[str, Kept] = {}
        for change in self.changes:
            if isinstance(change, Narrow):
                for role, name in change.roles:
                    found[name] = replace(found.get(name, Kept()), **{role: change.keep})
        return found

    def fitted(self, layers: Mapping[str, nn.Layer]) -> dict[str, nn.Layer]:
        """Of the `layers` by site name those that a fit to images determines."""
        names = {name for change in self.changes for name in change.fitted}
        return {name: layer for name, layer in layers.items() if name in names}

    def __len__(self) -> int:
        return len(self.changes)

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        lines += [f"{name or '(root)'}: skipped, {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)

    def without(self, names: Collection[str], reason: str = "") -> Plan:
        """The plan without what touches some sites; they are skipped for `reason` if there is one."""
        kept = [change for change in self.changes if not any(name in names for name in change.sites)]
        return Plan(kept, {**self.skipped, **(dict.fromkeys(names, reason) if reason else {})})

    def with_settings(self, change: Callable[[str, Any], Any]) -> Plan:
        """The plan with other settings: `change` is called with (site, settings) of what is replaced."""
        changes = [
            replace(one, settings=change(one.site, one.settings)) if isinstance(one, Replace) else one
            for one in self.changes
        ]
        return Plan(changes, self.skipped)

    def to_json(self) -> str:
        """The plan as JSON text, for `from_json`."""
        changes = [{"change": change.kind, **change.to_dict()} for change in self.changes]
        return json.dumps({"format": FORMAT, "changes": changes, "skipped": self.skipped}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote.

        Raises:
            ArgumentError: if the text isn't such JSON, or a setting is out of range.
        """
        try:
            data = json.loads(text, object_pairs_hook=_without_twins)
            if data["format"] not in (FORMAT, _FORMER_FORMAT):
                raise ArgumentError(f"plan format {data['format']!r} is unknown; expected {FORMAT!r}")
            changes = data["changes"] if data["format"] == FORMAT else _former(data["sites"])
            return cls([change_from(change) for change in changes], _reasons(data["skipped"]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            if isinstance(error, ArgumentError):
                raise
            raise ArgumentError(f"this isn't a plan written by Plan.to_json: {error!r}") from error

    @classmethod
    def of_checkpoint(cls, shapes: Shapes) -> Plan:
        """The plan that a converted checkpoint was made with, read off its keys and shapes."""
        return cls([change for kind in KINDS.values() for change in kind.of_checkpoint(shapes)])


def _former(sites: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The changes of a plan in the former format."""
    return [{**settings, "change": Replace.kind, "site": name} for name, settings in sites.items()]


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; a name that is there twice would count once, in silence."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twin = next(name for name, _ in pairs if [other for other, _ in pairs].count(name) > 1)
        raise ArgumentError(f"{twin!r} is there twice; leave out one of them")
    return found


def _reasons(skipped: Any) -> dict[str, str]:
    if not isinstance(skipped, dict) or not all(isinstance(reason, str) for reason in skipped.values()):
        raise TypeError("what is skipped isn't sites with a reason each")
    return skipped


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
        fusion: "sum" or "gap".
        include: globs over structured names; only sites that match one are converted.
        exclude: globs; sites that match one are left alone.
        ratios: glob -> ratio for the sites that match it; of several matches the last one counts.

    Raises:
        ArgumentError: for a ratio, group or fusion that can't be, a glob that matches no convolution, an
            `include` without any, or groups that fit none of the network's convolutions, if it isn't
            converted already.
    """
    SPConvSettings(ratio, groups, fusion).check()
    if not isinstance(ratios, (Mapping, type(None))):
        raise ArgumentError(f"ratios is a {type(ratios).__name__}; give a dictionary, glob -> ratio")
    for own_ratio in (ratios or {}).values():
        SPConvSettings(own_ratio, groups, fusion).check()
    sites = find_sites(model)
    operator = registry.of_settings(SPConvSettings())
    included, excluded = checked_globs(sites, include, exclude)
    check_globs(sites, {"ratio-for": globs_of(ratios, "ratios")})

    result, unsplittable = Plan(), dict[str, str]()
    for site in sites:
        settings = SPConvSettings(ratio_for(site, ratio, ratios or {}), groups, fusion)
        reason = site.reason or left_out(site, included, excluded)
        if not reason:
            reason = unsplittable[site.name] = operator.why_not(site.layer, settings)
        if reason:
            result.skipped[site.name] = reason
        else:
            result.changes.append(Replace(site.name, settings))
    nothing_fits = unsplittable and all(unsplittable.values())
    if nothing_fits and not any(registry.operator_of(site.layer) for site in sites):
        name, reason = next(iter(unsplittable.items()))
        raise ArgumentError(f"groups {groups} fits no convolution of this network; {name!r}: {reason}")
    return result


def check_is_plan(plan: Any) -> None:
    """Refuse what is no plan.

    Raises:
        ArgumentError: says how one is had.
    """
    if not isinstance(plan, Plan):
        raise ArgumentError(
            f"plan is a {type(plan).__name__}; give what spconvify.plan returns, or Plan.from_json(text)"
        )


def plan_of(model: nn.Layer) -> Plan:
    """The plan that a converted network was made with, read off its layers."""
    changes = []
    for site in find_sites(model):
        operator = registry.operator_of(site.layer)
        if operator is not None:
            changes.append(Replace(site.name, operator.settings_of(site.layer)))
    return Plan(changes)
