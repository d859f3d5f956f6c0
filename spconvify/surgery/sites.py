"""The graph walker: every Conv2D of a model, and whether it can become an SPConv2D."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.network.edges import held_beside, walk
from spconvify.network.failures import check_dynamic_mode
from spconvify.network.replacement import Replacement
from spconvify.network.static_functions import forward_was_replaced, is_static_call

# Below this many input channels a convolution is the network's stem: there is nothing to split.
MIN_IN_CHANNELS = 4


@dataclass(frozen=True, eq=False)
class Site:
    """One Conv2D of a model, with a verdict.

    `name` is its structured name ("" for a model that is itself a Conv2D), `aliases` the other
    names under which the same layer is registered; `reason` says why it isn't eligible.
    """

    name: str
    layer: nn.Layer
    eligible: bool
    reason: str
    aliases: tuple[str, ...] = ()


def find_sites(model: nn.Layer) -> list[Site]:
    """List every Conv2D of `model` with its verdict, in registration order.

    A layer that is registered at several places is one site, with `aliases`. SPConv2D layers are
    listed as ineligible, and fused ones, which is what makes a second conversion change nothing.

    Raises:
        ArgumentError: if `model` isn't a plain ``nn.Layer`` (paddle.Model, DataParallel, to_static).
    """
    check_model(model)
    names: dict[int, list[str]] = {}
    convolutions: dict[int, nn.Layer] = {}
    for edge in walk(model):
        if isinstance(edge.layer, (nn.Conv2D, Replacement)):
            convolutions[id(edge.layer)] = edge.layer
            names.setdefault(id(edge.layer), []).append(edge.name)
    context = _Context(model)
    sites = []
    for key, layer in convolutions.items():
        reason = _why_not(layer, context)
        first, *aliases = names[key]
        sites.append(Site(first, layer, not reason, reason, tuple(aliases)))
    return sites


def has_hooks(layer: Any) -> bool:
    """Whether calling `layer` does more than its forward; weight and spectral norm are hooks too."""
    return bool(layer._forward_pre_hooks or layer._forward_post_hooks)


def check_model(model: Any) -> None:
    """Refuse what isn't a plain network, with the remedy.

    Raises:
        ArgumentError: for a paddle.Model, a DataParallel, a to_static network, none; in static mode.
    """
    check_dynamic_mode()
    if isinstance(model, paddle.Model):
        raise ArgumentError("this is a paddle.Model: pass its network, model.network")
    if isinstance(model, paddle.DataParallel):
        raise ArgumentError(
            "this is a paddle.DataParallel: pass model._layers, and wrap the converted network again"
        )
    if not isinstance(model, nn.Layer):
        raise ArgumentError(f"this is a {type(model).__name__}, not a paddle.nn.Layer")
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


def _why_not(conv: nn.Layer, context: _Context) -> str:
    """Why `conv` can't become an SPConv2D; "" if it can. The geometry first: it reads best."""
    if isinstance(conv, Replacement):
        return "already an SPConv2D"
    return _shape_reason(conv) or _padding_reason(conv) or _identity_reason(conv, context)


def _shape_reason(conv: nn.Layer) -> str:
    kernel, stride, dilation = (list(conv._kernel_size), list(conv._stride), list(conv._dilation))
    if kernel != [3, 3]:
        return f"kernel {kernel[0]}x{kernel[1]}"
    if conv._groups != 1:
        kind = "depthwise" if conv._groups == conv._in_channels else "already grouped"
        return f"{kind}: groups={conv._groups}"
    if stride not in ([1, 1], [2, 2]):
        return f"stride {stride[0]}x{stride[1]}"
    if dilation[0] != dilation[1]:
        return f"dilation {dilation[0]}x{dilation[1]}"
    if conv._in_channels < MIN_IN_CHANNELS:
        return f"stem: {conv._in_channels} input channels are too few to split"
    return ""


def _padding_reason(conv: nn.Layer) -> str:
    if padding_of(conv) is not None:
        return ""
    return f"padding {conv._padding!r} gives the 3x3 and the 1x1 branches maps of different sizes"


def padding_of(conv: nn.Layer) -> int | str | None:
    """The padding of a 3x3 convolution as SPConv2D takes it; None where it can't carry it.

    `_updated_padding` is read since `_padding` is whatever the user wrote ('SAME', nested lists …).
    """
    if conv._padding_mode != "zeros":  # then Conv2D pads by itself, and `_updated_padding` is 0
        padding = list(conv._reversed_padding_repeated_twice)
    elif conv._padding_algorithm == "SAME":
        return "SAME"
    elif conv._padding_algorithm == "VALID":
        return 0
    else:
        padding = conv._updated_padding
        padding = [padding] if isinstance(padding, int) else list(padding)
    if len(set(padding)) != 1 or padding[0] not in (0, conv._dilation[0]):
        return None
    return int(padding[0])


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
    if context.weights.is_tied(conv):
        return "its weight is shared with another layer"
    holder = context.holder(conv)
    if holder:
        return f"{holder} holds it past its registration and would keep the old one"
    return ""
