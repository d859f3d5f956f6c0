"""Ghost, HetConv and OctConv as operators: what spconvify plans, carries out, fits, saves and loads.

They are registered by importing this module; `spconvify.Plan` takes their settings as it takes SPConv's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import layerwise
import numpy as np
from slim_layers import GhostConv, HetConv, OctConv

from spconvify.calibration.task import LayerFit, Task
from spconvify.errors import ArgumentError
from spconvify.operators import registry
from spconvify.operators.base import Operator
from spconvify.operators.recognised import Recognised, Shapes, join
from spconvify.operators.spconv.eligibility import geometry_reason


@dataclass(frozen=True)
class GhostSettings:
    """One in `share` outputs is computed densely."""

    share: int = 2

    def check(self) -> None:
        _check_at_least_2("share", self.share)


@dataclass(frozen=True)
class HetSettings:
    """One in `parts` input channels has a 3x3 kernel."""

    parts: int = 4

    def check(self) -> None:
        if self.parts < 1:
            raise ArgumentError(f"parts {self.parts} is less than 1")


@dataclass(frozen=True)
class OctSettings:
    """A share `low` of the channels is kept at half the resolution."""

    low: float = 0.5

    def check(self) -> None:
        if not 0 < self.low < 1:
            raise ArgumentError(f"low {self.low} isn't inside (0, 1)")


def _check_at_least_2(name: str, value: int) -> None:
    if value < 2:
        raise ArgumentError(f"{name} {value} is less than 2")


@dataclass(frozen=True)
class Found:
    """One of these layers in a state dict."""

    in_channels: int
    out_channels: int
    settings: Any
    keys: frozenset[str]
    permutations: frozenset[str]


class SlimOperator(Operator):
    """What the three have in common: a plain 3x3 convolution with padding 1 and channels first."""

    _keys: tuple[str, ...]
    _orders: tuple[str, ...] = ("order",)

    def why_not(self, conv: Any, settings: Any = None) -> str:
        reason = geometry_reason(conv)
        plain = (conv._padding_mode, conv._data_format, list(conv._dilation)) == (
            "zeros",
            "NCHW",
            [1, 1],
        )
        if not reason and not (plain and conv._padding in (1, [1, 1], (1, 1))):
            reason = "not a plain 3x3 with padding 1"
        return reason

    def recognise(self, shapes: Shapes) -> Mapping[str, Recognised]:
        marker = self._keys[0]
        sites = [key[: -len(marker)].rstrip(".") for key in shapes if f".{key}".endswith(f".{marker}")]
        wanted = {*self._keys, *self._orders}
        return {
            site: self._found({key: tuple(shapes[join(site, key)]) for key in wanted})
            for site in sites
            if all(join(site, key) in shapes for key in wanted)
        }

    def _found(self, own: Mapping[str, tuple[int, ...]]) -> Found:
        raise NotImplementedError

    def _of(self, inputs: int, outputs: int, settings: Any) -> Found:
        orders = frozenset(self._orders)
        return Found(inputs, outputs, settings, frozenset(self._keys) | orders, orders)

    def fit(self, task: Task) -> LayerFit:
        return LayerFit(layerwise.fit(task))


class Ghost(SlimOperator):
    """Han et al., CVPR 2020."""

    name, settings, layer = "ghost", GhostSettings, GhostConv
    _keys = ("primary.weight", "primary.bias", "cheap.weight", "cheap.bias")

    def why_not(self, conv: Any, settings: GhostSettings | None = None) -> str:
        reason = super().why_not(conv, settings)
        if not reason and settings is not None and conv._out_channels % settings.share:
            reason = f"{conv._out_channels} output channels can't be divided by {settings.share}"
        return reason

    def build(self, conv: Any, settings: GhostSettings) -> GhostConv:
        return GhostConv(conv._in_channels, conv._out_channels, conv._stride[0], settings.share)

    def settings_of(self, layer: GhostConv) -> GhostSettings:
        return GhostSettings(layer.out_channels // layer.primary._out_channels)

    def copy(self, layer: GhostConv, conv: Any) -> None:
        """The first outputs densely, nothing in the others."""
        dense = layer.primary._out_channels
        layer.primary.weight.set_value(conv.weight[:dense])
        bias = np.zeros(dense, "float32") if conv.bias is None else conv.bias.numpy()[:dense]
        layer.primary.bias.set_value(bias)
        layer.cheap.weight.set_value(np.zeros(layer.cheap.weight.shape, "float32"))

    def _found(self, own: Mapping[str, tuple[int, ...]]) -> Found:
        outputs, dense = own["order"][0], own["primary.weight"][0]
        return self._of(own["primary.weight"][1], outputs, GhostSettings(outputs // dense))


class Het(SlimOperator):
    """Singh et al., CVPR 2019."""

    name, settings, layer = "hetconv", HetSettings, HetConv
    _keys = ("grouped.weight", "pointwise.weight", "pointwise.bias")

    def why_not(self, conv: Any, settings: HetSettings | None = None) -> str:
        reason = super().why_not(conv, settings)
        if not reason and settings is not None:
            for channels in (conv._in_channels, conv._out_channels):
                if channels % settings.parts:
                    return f"{channels} channels can't be divided by {settings.parts}"
        return reason

    def build(self, conv: Any, settings: HetSettings) -> HetConv:
        return HetConv(conv._in_channels, conv._out_channels, conv._stride[0], settings.parts)

    def settings_of(self, layer: HetConv) -> HetSettings:
        return HetSettings(layer.grouped._groups)

    def copy(self, layer: HetConv, conv: Any) -> None:
        """The kernels that stay 3x3 as they are, the sum of its taps for each of the others."""
        kernel, parts = conv.weight.numpy(), layer.grouped._groups
        rows, columns = len(kernel) // parts, kernel.shape[1] // parts
        taps, own = kernel.sum((2, 3), keepdims=True), []
        for part in range(parts):
            block = np.s_[part * rows : (part + 1) * rows, part * columns : (part + 1) * columns]
            own.append(kernel[block])
            taps[block] = 0.0
        layer.grouped.weight.set_value(np.concatenate(own))
        layer.pointwise.weight.set_value(taps)
        bias = np.zeros(len(kernel), "float32") if conv.bias is None else conv.bias.numpy()
        layer.pointwise.bias.set_value(bias)

    def _found(self, own: Mapping[str, tuple[int, ...]]) -> Found:
        outputs, inputs = own["pointwise.weight"][:2]
        return self._of(inputs, outputs, HetSettings(inputs // own["grouped.weight"][1]))


class Oct(SlimOperator):
    """Chen et al., ICCV 2019; it has no form of its own for stride 2."""

    name, settings, layer = "octave", OctSettings, OctConv
    _keys = (
        "high_to_high.weight",
        "high_to_high.bias",
        "low_to_high.weight",
        "to_low.weight",
        "to_low.bias",
    )
    _orders = ("order_in", "order_out")

    def why_not(self, conv: Any, settings: OctSettings | None = None) -> str:
        reason = super().why_not(conv, settings)
        return reason or ("" if conv._stride[0] == 1 else "stride 2")

    def build(self, conv: Any, settings: OctSettings) -> OctConv:
        return OctConv(conv._in_channels, conv._out_channels, settings.low)

    def settings_of(self, layer: OctConv) -> OctSettings:
        return OctSettings(1 - layer.high_in / layer.in_channels)

    def copy(self, layer: OctConv, conv: Any) -> None:
        """The convolution's own kernels, whatever resolution they meet."""
        kernel = conv.weight.numpy()
        bias = np.zeros(len(kernel), "float32") if conv.bias is None else conv.bias.numpy()
        layer.high_to_high.weight.set_value(kernel[: layer.high_out, : layer.high_in])
        layer.high_to_high.bias.set_value(bias[: layer.high_out])
        layer.low_to_high.weight.set_value(kernel[: layer.high_out, layer.high_in :])
        layer.to_low.weight.set_value(kernel[layer.high_out :])
        layer.to_low.bias.set_value(bias[layer.high_out :])

    def _found(self, own: Mapping[str, tuple[int, ...]]) -> Found:
        inputs, outputs = own["order_in"][0], own["order_out"][0]
        return self._of(inputs, outputs, OctSettings(own["low_to_high.weight"][1] / inputs))


for _operator in (Ghost(), Het(), Oct()):
    registry.register(_operator)
