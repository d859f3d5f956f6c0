"""The graph walker: every Conv2D of a model, and whether something can take its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.edges import held_beside, walk
from spconvify.network.failures import check_dynamic_mode
from spconvify.network.own_attributes import parts_of_its_own
from spconvify.network.replacement import Replacement
from spconvify.network.static_functions import forward_was_replaced, is_static_call
from spconvify.operators import registry


@dataclass(frozen=True, eq=False)
class Site:
    """One Conv2D of a model, with a verdict.

    `name` is its structured name ("" for a model that is itself a Conv2D), `aliases` the other
    names under which the same layer is registered; `reason` says why it isn't eligible for the
    operator that was asked for, and `obstacle` what keeps every operator away.
    """

    name: str
    layer: nn.Layer
    eligible: bool
    reason: str
    aliases: tuple[str, ...] = ()
    obstacle: str = ""


def find_sites(model: nn.Layer, operator: str = registry.DEFAULT) -> list[Site]:
    """List every Conv2D of `model` with its verdict, in registration order.

    A layer that is registered at several places is one site, with `aliases`. Replaced ones are
    listed as ineligible, and fused ones, which is what makes a second conversion change nothing.

    Args:
        model: the network.
        operator: by name, what is to take the convolutions' places.

    Raises:
        ArgumentError: if there is no such operator, or `model` isn't a plain ``nn.Layer`` (paddle.Model,
            DataParallel, to_static).
    """
    check_model(model)
    names: dict[int, list[str]] = {}
    convolutions: dict[int, nn.Layer] = {}
    for edge in walk(model):
        if isinstance(edge.layer, (nn.Conv2D, Replacement)):
            convolutions[id(edge.layer)] = edge.layer
            names.setdefault(id(edge.layer), []).append(edge.name)
    context, kind = _Context(model), registry.find(operator)
    sites = []
    for key, layer in convolutions.items():
        obstacle = _obstacle(layer, context)
        # The geometry first: it reads best.
        reason = ("" if isinstance(layer, Replacement) else kind.why_not(layer)) or obstacle
        first, *aliases = names[key]
        sites.append(Site(first, layer, not reason, reason, tuple(aliases), obstacle))
    return sites


def has_hooks(layer: Any) -> bool:
    """Whether calling `layer` does more than its forward; weight and spectral norm are hooks too."""
    return bool(layer._forward_pre_hooks or layer._forward_post_hooks)


def check_is_layer(model: Any) -> None:
    """Refuse what is no network at all, such as its class, its name or its state dict.

    Raises:
        ArgumentError: says what it is.
    """
    if isinstance(model, paddle.Model):
        raise ArgumentError("this is a paddle.Model: pass its network, model.network")
    if isinstance(model, type):
        raise ArgumentError(f"this is the class {model.__name__}, not a network: pass one made of it")
    if not isinstance(model, nn.Layer):
        raise ArgumentError(f"this is a {type(model).__name__}, not a paddle.nn.Layer")


def check_model(model: Any) -> None:
    """Refuse what isn't a plain network, with the remedy.

    Raises:
        ArgumentError: for a paddle.Model, a DataParallel, a to_static network, none; in static mode.
    """
    check_dynamic_mode()
    check_is_layer(model)
    if isinstance(model, paddle.DataParallel):
        raise ArgumentError(
            "this is a paddle.DataParallel: pass model._layers, and wrap the converted network again"
        )
    if type(model).__name__ == "TranslatedLayer":
        raise ArgumentError("this network comes from paddle.jit.load: convert the original one")
    for layer in model.sublayers(include_self=True):
        if is_static_call(layer):
            raise ArgumentError(
                f"{type(layer).__name__} went through paddle.jit.to_static, whose program would keep "
                "the old convolutions: convert first, then call to_static"
            )


class WeightOwners:
    """Which layers of a network use a parameter."""

    def __init__(self, model: nn.Layer):
        self._owners: dict[int, set[int]] = {}
        for layer in model.sublayers(include_self=True):
            for parameter in layer._parameters.values():
                if parameter is not None:
                    self._owners.setdefault(id(parameter), set()).add(id(layer))

    def is_tied(self, layer: nn.Layer) -> bool:
        """Whether another layer uses one of its parameters too, or of those of the layers inside."""
        return any(len(self._owners[id(parameter)]) > 1 for parameter in layer.parameters())


class _Context:
    """What the verdict on one layer needs to know of the others."""

    def __init__(self, model: nn.Layer):
        self.weights = WeightOwners(model)
        self._held = {id(edge.layer): edge.name for edge in held_beside(model) if edge.container is None}

    def holder(self, conv: nn.Layer) -> str | None:
        """The attribute that holds `conv` where it can't be replaced, if there is one."""
        return self._held.get(id(conv))


def _obstacle(conv: nn.Layer, context: _Context) -> str:
    """Why nothing can take the place of `conv`, whatever its geometry; "" if something can."""
    if isinstance(conv, Replacement):
        return f"already {conv.called}"
    return _identity_reason(conv, context)


def _identity_reason(conv: nn.Layer, context: _Context) -> str:
    """Everything through which somebody could notice that the layer was swapped."""
    if type(conv) is not nn.Conv2D:
        return f"{type(conv).__name__} is a subclass of Conv2D with a forward of its own"
    if forward_was_replaced(conv):
        return "its forward was replaced on the layer itself"
    hooks = [*conv._forward_pre_hooks.values(), *conv._forward_post_hooks.values()]
    if hooks:
        kinds = ", ".join(sorted({getattr(h, "__name__", type(h).__name__) for h in hooks}))
        return f"its forward hooks would be lost: {kinds}"
    added = parts_of_its_own(conv)
    if added:
        return f"what was added to it would be lost: {', '.join(map(repr, added))}"
    if context.weights.is_tied(conv):
        return "its weight is shared with another layer"
    holder = context.holder(conv)
    if holder:
        return f"{holder} holds it past its registration and would keep the old one"
    return ""
