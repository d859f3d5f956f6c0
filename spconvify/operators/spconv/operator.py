"""SPConv as an `Operator`: the way from the registry to everything in this folder. Needs no Paddle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from spconvify.operators.base import Operator
from spconvify.operators.recognised import Shapes
from spconvify.operators.spconv.keys import SPConvKeys, spconv_sites
from spconvify.operators.spconv.settings import SPConvSettings, representative_channels

if TYPE_CHECKING:
    from spconvify.calibration.task import LayerFit, Task
    from spconvify.operators.spconv.forms import SPConvForms
    from spconvify.operators.spconv.layer import SPConv2D


class SPConv(Operator):
    """The operator of "Split to Be Slim" (IJCAI 2020)."""

    name, settings = "spconv", SPConvSettings

    def describe(self, settings: SPConvSettings) -> str:
        """As plans print it: what a fit adds is left out."""
        return f"ratio {settings.ratio:g}, groups {settings.groups}, {settings.fusion}"

    @property
    def layer(self) -> type[SPConv2D]:
        """`SPConv2D`."""
        from spconvify.operators.spconv.layer import SPConv2D

        return SPConv2D

    def recognise(self, shapes: Shapes) -> Mapping[str, SPConvKeys]:
        """See `spconv_sites`."""
        return spconv_sites(shapes)

    def why_not(self, conv: Any, settings: SPConvSettings | None = None) -> str:
        """See `eligibility`."""
        from spconvify.operators.spconv.eligibility import geometry_reason, split_reason

        reason = geometry_reason(conv)
        return reason if reason or settings is None else split_reason(conv, settings)

    def build(self, conv: Any, settings: SPConvSettings) -> SPConv2D:
        """An `SPConv2D` of that geometry; with a bias where there was one and `sum` has room for it."""
        from spconvify.operators.spconv.eligibility import padding_of

        bias = settings.bias
        if bias is None:
            bias = conv.bias is not None and settings.fusion == "sum"
        return self.layer(
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

    def settings_of(self, layer: SPConv2D) -> SPConvSettings:
        """The ratio is the effective one: that which was asked for may have been rounded."""
        return SPConvSettings(
            layer.representative / layer.in_channels,
            layer.groups,
            layer.fusion,
            layer.conv1x1.bias is not None,
            layer.channels is not None,
        )

    def copy(self, layer: SPConv2D, conv: Any) -> None:
        """See `copy_weights`."""
        from spconvify.operators.spconv.copy import copy_weights

        copy_weights(layer, conv)

    def bias_keys(self) -> frozenset[str]:
        """The bias is with the uncertain part."""
        return frozenset({"conv1x1.bias"})

    def with_room(self, settings: SPConvSettings) -> SPConvSettings:
        """With an order of the channels, and (`sum`) an intercept."""
        return replace(settings, reorder=True, bias=settings.fusion == "sum")

    def fit(self, task: Task) -> LayerFit:
        """See `Fitter`."""
        from spconvify.operators.spconv.fitter import Fitter

        return Fitter(task).fit()

    def macs_per_position(self, conv: Any, settings: SPConvSettings) -> int:
        """r·9L/groups + r·L + (C - r)·L, see `SPConv2D`; the gate and the pooling aren't in it."""
        outputs, inputs = conv._out_channels, conv._in_channels
        kept = representative_channels(inputs, settings.ratio, settings.groups)
        return kept * 9 * outputs // settings.groups + inputs * outputs

    def effective_ratio(self, in_channels: int, settings: SPConvSettings) -> float:
        """After rounding to a multiple of the groups."""
        return representative_channels(in_channels, settings.ratio, settings.groups) / in_channels

    @property
    def forms(self) -> SPConvForms:
        """See `spconvify.operators.spconv.forms`."""
        from spconvify.operators.spconv.forms import FORMS

        return FORMS


OPERATOR = SPConv()
