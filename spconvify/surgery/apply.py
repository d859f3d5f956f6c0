"""Carry a plan out: put new layers where convolutions were, and keep everything else as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Callable

from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.copying import check_copy, copied
from spconvify.network.static_functions import forget_programs
from spconvify.operators import inits
from spconvify.surgery.change import Change
from spconvify.surgery.expectation import Expectation
from spconvify.surgery.places import Places
from spconvify.surgery.planning import Plan
from spconvify.surgery.sites import Site, find_sites


def apply_plan(
    model: nn.Layer,
    plan: Plan,
    *,
    init: str = inits.DEFAULT_INIT,
    inplace: bool = False,
    input_shape: Any = None,
    verify: bool = True,
    fit: Callable[[nn.Layer, dict[str, nn.Layer]], None] | None = None,
) -> nn.Layer:
    """Carry out every change of `plan` and check, with one forward, that nothing else changed.

    Returns the converted copy, or `model` itself if `inplace` (a model that is itself a Conv2D comes
    back as the new layer in both cases). If the check fails, all changes are undone.

    Args:
        model: the network.
        plan: what to change.
        init: how the new weights start, by name; see `spconvify.operators.inits`.
        inplace: change `model` instead of a copy.
        input_shape: (N, C, H, W) of the check's input, or `Inputs`; None tries usual sizes.
        verify: run that check; a network whose weights are yet to come can't.
        fit: called at the end with the converted network and what stands at the plan's sites, by
            name; if it raises, all changes are undone too.

    Raises:
        ArgumentError: if the plan names a site that the model hasn't, or that isn't eligible.
        ConversionError: if the converted network would not run as the original does.
    """
    original, sites = model, planned_sites(model, plan)
    originals = sites
    if not inplace:
        model = copied(model)
        sites = planned_sites(model, plan)
    swapped = [name for name in sites if any(name in change.swapped for change in plan.changes)]
    watched = [(sites[name].layer, originals[name].layer) for name in swapped]
    # Of the original: hooks and closures of a copy may still be the original's.
    expectation = Expectation(original, watched if verify else [], input_shape)
    if not inplace:
        check_copy(original, model, expectation.samples)
    places, new = Places(model), dict[str, nn.Layer]()
    try:
        for change in plan.changes:
            _check_eligible(change, sites)  # as the changes before it have left them
            made = change.carry_out(sites, places, inits.find(init).start)
            new.update(made)
            sites.update({name: replace(sites[name], layer=layer) for name, layer in made.items()})
        expectation.check(places.root, {name: new[name] for name in swapped}, places.pairs)
        if fit is not None:
            fit(places.root, new)
    except BaseException:
        places.undo()
        raise
    forget_programs(places.root)
    return places.root


def planned_sites(model: nn.Layer, plan: Plan) -> dict[str, Site]:
    """The sites that a plan touches, by name and in its order.

    Raises:
        ArgumentError: if it names one that the network hasn't, or that can't be changed so.
    """
    found = {site.name: site for site in find_sites(model)}
    planned: dict[str, Site] = {}
    roles = set[tuple[str, str]]()
    for change in plan.changes:
        for role, name in change.roles:
            if name not in found:
                raise ArgumentError(f"the plan's site {name!r} isn't a convolution of this network")
            if (role, name) in roles:
                raise ArgumentError(f"the plan has site {name!r} twice; leave out one of them")
            roles.add((role, name))
            planned[name] = found[name]
        _check_eligible(change, found)
    return planned


def _check_eligible(change: Change, sites: Mapping[str, Site]) -> None:
    for name in change.sites:
        reason = change.why_not(sites[name])
        if reason:
            raise ArgumentError(f"the plan's site {name!r} isn't eligible: {reason}")
