"""The forms of SPConv: equal ways to lay out one folded layer.

What decides in Paddle Inference is the layout of the tensors, not the arithmetic. oneDNN runs 1x1
convolutions channels-last (`acdb`) and 3x3 group convolutions with 16 channels a group in blocks
(`aBcd16b`), and an elementwise operator on two layouts falls to a reference implementation that is a
hundred times slower. An addition behind a convolution becomes part of the convolution, so in most forms
a 1x1 comes last and takes in what came before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.errors import ArgumentError
from spconvify.operators.forms import Forms, RunsForms
from spconvify.operators.spconv.folded import Folded, fold
from spconvify.operators.spconv.gap_forms import GatedDifference, TwoMeans, TwoParts
from spconvify.operators.spconv.parts import VARIANTS, FusedSPConv2D, is_range
from spconvify.operators.spconv.sum_forms import DenseKernel, PointwiseLast, ThreeParts

BY_NAME: Mapping[str, type[FusedSPConv2D]] = {
    form.name: form
    for form in (PointwiseLast, ThreeParts, DenseKernel, GatedDifference, TwoParts, TwoMeans)
}
# What is fastest in most layers of an engine that prefers nothing else; `tune` finds the exceptions.
_USUAL = (PointwiseLast.name, TwoParts.name)


class SPConvForms(Forms):
    """How SPConvs are deployed."""

    def fold(self, layer: Any, norm: Any = None) -> Folded:
        """See `spconvify.operators.spconv.folded`."""
        return fold(layer, norm)

    def check(self, form: str) -> None:
        """See `Forms`."""
        base, _, variant = form.partition("+")
        if base not in BY_NAME or variant not in VARIANTS:
            variants = ", ".join(f"+{variant}" for variant in VARIANTS if variant)
            raise ArgumentError(
                f"form {form!r} is unknown; use {', '.join(BY_NAME)}, each alone or with {variants}"
            )

    def candidates(self, folded: Folded, engine: RunsForms | None = None) -> list[str]:
        """See `Forms`."""
        useful = {"": True, "split": folded.layer.groups > 1, "select": _must_gather(folded)}
        names = [
            f"{name}+{variant}" if variant else name
            for variant in VARIANTS
            for name, form in BY_NAME.items()
            if useful[variant] and variant in form.variants and form.fits(folded)
        ]
        return [name for name in names if engine is None or engine.runs_form(name)]

    def default(self, folded: Folded, engine: RunsForms) -> str:
        """See `Forms`."""
        scattered = (not is_range(part) for part in (folded.representative, folded.rest))
        possible = self.candidates(folded, engine) or self.candidates(folded)
        wanted = (*engine.preferred_forms(*scattered), *_USUAL, *possible)
        return next(form for form in wanted if form in possible)

    def build(self, folded: Folded, form: str) -> FusedSPConv2D:
        """The layer in the form of that name ("NAME" or "NAME+VARIANT")."""
        name, _, variant = form.partition("+")
        return BY_NAME[name](folded, variant)

    def dense(self, layer: Any) -> nn.Conv2D:
        """See `Forms`."""
        return nn.Conv2D(
            layer.in_channels,
            layer.out_channels,
            3,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            padding_mode=layer.gwc._padding_mode,
            data_format=layer.data_format,
        )

    def timing_key(self, layer: Any) -> str:
        """See `Forms`."""
        return (
            f"{layer.out_channels}, stride {layer.stride}, dilation {layer.dilation}, "
            f"padding {layer.padding} {layer.gwc._padding_mode}, {layer.representative} representative, "
            f"{layer.groups} groups, {layer.data_format}, {layer.gwc.weight.dtype}"
        )

    def is_scattered(self, layer: Any) -> bool:
        """Whether it has `channels`."""
        return layer.channels is not None

    def wanted_order(self, layer: Any) -> np.ndarray:
        """Representative channels first, ascending in every group."""
        return fold(layer).channels

    def take_in_order(self, layer: Any, order: np.ndarray) -> None:
        """Let `channels` say where every channel is now."""
        place, old = np.argsort(order), layer.channels
        layer.channels = paddle.to_tensor(place[old.numpy()], dtype="int64", place=old.place)

    def outputs(self, layer: Any) -> Sequence[Any] | None:
        """All but `channels`; a group's outputs have to stay together."""
        if layer.groups != 1:
            return None
        tensors = [*layer.parameters(), *layer.buffers()]
        return [tensor for tensor in tensors if tensor is not layer.channels]


FORMS = SPConvForms()


def _must_gather(folded: Folded) -> bool:
    return not (is_range(folded.representative) and is_range(folded.rest))
