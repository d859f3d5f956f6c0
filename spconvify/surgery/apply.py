"""Carry a plan out: put an SPConv2D where a Conv2D was, and keep everything else as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Callable

from paddle import nn
from paddle.utils import unique_name

from spconvify.errors import ArgumentError
from spconvify.network.copying import copied
from spconvify.network.edges import replaceable
from spconvify.network.placement import default_dtype, move_beside
from spconvify.network.static_functions import forget_programs
from spconvify.operators.spconv.copy import copy_weights
from spconvify.operators.spconv.layer import SPConv2D
from spconvify.operators.spconv.settings import SPConvSettings
from spconvify.surgery.expectation import Expectation
from spconvify.surgery.planning import Plan
from spconvify.surgery.sites import Site, find_sites, padding_of


def apply_plan(
    model: nn.Layer,
    plan: Plan,
    *,
    init: str = "copy",
    inplace: bool = False,
    input_shape: Sequence[int] | None = None,
    verify: bool = True,
    fit: Callable[[nn.Layer, dict[str, SPConv2D]], None] | None = None,
) -> nn.Layer:
    """Replace every site of `plan` and check, with one forward, that nothing else changed.

    Returns the converted copy, or `model` itself if `inplace` (a model that is itself a Conv2D comes
    back as the new layer in both cases). If the check fails, all replacements are undone.

    Args:
        model: the network.
        plan: what to replace.
        init: how the new weights start: "copy" or "none" (Paddle's random initialiser).
        inplace: change `model` instead of a copy.
        input_shape: (N, C, H, W) of the check's input; None tries usual sizes.
        verify: run that check; a network whose weights are yet to come can't.
        fit: called at the end with the converted network and its new layers by site name; if it raises,
            all replacements are undone too.

    Raises:
        ArgumentError: if the plan names a site that the model hasn't, or that isn't eligible.
        ConversionError: if the converted network would not run as the original does.
    """
    original, sites = model, planned_sites(model, plan)
    originals = sites
    if not inplace:
        model = copied(model)
        sites = planned_sites(model, plan)
    watched = [(site.layer, original.layer) for site, original in zip(sites, originals)]
    # Of the original: hooks and closures of a copy may still be the original's.
    expectation = Expectation(original, watched if verify else [], input_shape)
    replacements = {
        id(site.layer): replacement(site.layer, plan.sites[site.name], init, site.name) for site in sites
    }
    with _swapped(model, replacements) as converted:
        new = {site.name: replacements[id(site.layer)] for site in sites}
        expectation.check(converted, new)
        if fit is not None:
            fit(converted, new)
    forget_programs(converted)
    return converted


def planned_sites(model: nn.Layer, plan: Plan) -> list[Site]:
    """The sites of a plan, in its order.

    Raises:
        ArgumentError: if it names one that the network hasn't, or that isn't eligible.
    """
    sites = {site.name: site for site in find_sites(model)}
    for name in plan.sites:
        if name not in sites:
            raise ArgumentError(f"the plan's site {name!r} isn't a convolution of this network")
        if not sites[name].eligible:
            raise ArgumentError(f"the plan's site {name!r} isn't eligible: {sites[name].reason}")
    return [sites[name] for name in plan.sites]


@contextlib.contextmanager
def _swapped(model: nn.Layer, replacements: dict[int, SPConv2D]) -> Iterator[nn.Layer]:
    """Put the replacements in; take them out again if the block raises."""
    edges = [edge for edge in replaceable(model) if id(edge.layer) in replacements]
    for edge in edges:
        edge.put(replacements[id(edge.layer)])
    try:
        yield replacements.get(id(model), model)
    except BaseException:
        for edge in edges:
            edge.put(edge.layer)
        raise


def replacement(conv: Any, settings: SPConvSettings, init: str, name: str) -> SPConv2D:
    """The SPConv2D that takes the place of `conv`: same dtype, place, mode and parameter settings."""
    bias = settings.bias
    if bias is None:
        bias = conv.bias is not None and settings.fusion == "sum"
    with default_dtype(conv.weight.dtype):
        new = SPConv2D(
            conv._in_channels,
            conv._out_channels,
            conv._stride[0],
            ratio=settings.ratio,
            groups=settings.groups,
            dilation=conv._dilation[0],
            fusion=settings.fusion,
            padding=padding_of(conv),
            padding_mode=conv._padding_mode,
            bias_attr=None if bias else False,
            channels=range(conv._in_channels) if settings.reorder else None,
            data_format=conv._data_format,
        )
    if conv.weight._is_initialized():  # not under LazyGuard
        move_beside(new, conv.weight)
    if init != "none":  # Paddle's random ones
        copy_weights(new, conv)
    _inherit(new, conv, name)
    return new


def _inherit(new: SPConv2D, conv: Any, name: str) -> None:
    """Give the new parameters the mode and the ParamAttr settings of the old ones.

    They get fresh names: a network may have been built under a name guard of its own, and an
    optimizer keeps its state by parameter name.
    """
    for layer in new.sublayers(include_self=True):
        layer.training = conv.training
    for key, parameter in new.named_parameters():
        parameter.name = unique_name.generate(f"{name or 'root'}.{key}")
        if not parameter.trainable:  # a BatchNorm's statistics
            continue
        old = conv.bias if key == "conv1x1.bias" and conv.bias is not None else conv.weight
        parameter.trainable = old.trainable
        parameter.optimize_attr = dict(old.optimize_attr)
        parameter.regularizer = old.regularizer
        parameter.need_clip = old.need_clip
