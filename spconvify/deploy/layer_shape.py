"""LayerShape: all that decides how long a convolution takes, dense or replaced; and such a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from paddle import nn

from spconvify.deploy.surroundings import Ends
from spconvify.engines import registry as engines
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError
from spconvify.operators import registry as operators


@dataclass(frozen=True)
class LayerShape:
    """One convolution, dense or replaced, as it would be deployed.

    Attributes:
        in_channels: C.
        out_channels: L.
        kernel: height and width.
        stride: along both axes.
        padding: as `nn.Conv2D` takes it: a number, (along H, along W), (top, bottom, left, right),
            "SAME" or "VALID".
        dilation: along both axes.
        groups: of the dense convolution.
        size: (H, W) of its input.
        batch: N.
        channels_last: whether maps are (N, H, W, C).
        bias: whether it has one; BatchNorms are folded at deployment, so nearly always.
        settings: those of the operator that takes its place; None if it stays dense. Settings that
            choose channels (`reorder`) stand for a layer that has to gather them from all over the map:
            where the convolution before it gives them in order, leave that out.
        padding_mode: as `nn.Conv2D` takes it.
    """

    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: Any
    dilation: tuple[int, int]
    groups: int
    size: tuple[int, int]
    batch: int = 1
    channels_last: bool = False
    bias: bool = True
    settings: Any = None
    padding_mode: str = "zeros"

    @classmethod
    def of(cls, conv: nn.Conv2D, input_shape: Sequence[int], settings: Any = None) -> LayerShape:
        """That of a convolution of a network.

        Args:
            conv: the convolution, with a BatchNorm behind it or a bias.
            input_shape: of its input, with the axes in the order of its `data_format`.
            settings: those of an operator, to have that in its place.
        """
        known: Any = conv  # whose attributes are Paddle's own
        last = known._data_format == "NHWC"
        batch, *sizes = map(int, input_shape)
        return cls(
            known._in_channels,
            known._out_channels,
            _pair(known._kernel_size),
            _pair(known._stride),
            _padding(known),
            _pair(known._dilation),
            known._groups,
            _pair(sizes[:2] if last else sizes[1:]),
            batch,
            last,
            settings=settings,
            padding_mode=known._padding_mode,
        )

    def narrowed(self, in_channels: int, out_channels: int) -> LayerShape:
        """The same with other numbers of channels; a depthwise convolution stays one."""
        groups = in_channels if self.is_depthwise else self.groups
        return replace(self, in_channels=in_channels, out_channels=out_channels, groups=groups)

    @property
    def is_depthwise(self) -> bool:
        """Whether each input channel has a group of its own."""
        return self.groups > 1 and self.groups == self.in_channels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of its input."""
        if self.channels_last:
            return (self.batch, *self.size, self.in_channels)
        return (self.batch, self.in_channels, *self.size)

    @property
    def output_size(self) -> tuple[int, int]:
        """(H, W) of its output."""
        return _pair([self._output_length(axis) for axis in (0, 1)])

    def _output_length(self, axis: int) -> int:
        length, stride = self.size[axis], self.stride[axis]
        if self.padding == "SAME":
            return -(-length // stride)
        reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1
        return (length + self._padded(axis) - reach) // stride + 1

    def _padded(self, axis: int) -> int:
        """By how much both sides together are longer."""
        if self.padding == "VALID":
            return 0
        padding = [self.padding] * 2 if isinstance(self.padding, int) else list(self.padding)
        return sum(padding[2 * axis : 2 * axis + 2]) if len(padding) == 4 else 2 * padding[axis]

    @property
    def ends(self) -> Ends:
        """What is around it when it is timed."""
        return Ends(
            self.in_channels, self.out_channels, self._data_format, self.output_size == self.size
        )

    @property
    def _data_format(self) -> str:
        return "NHWC" if self.channels_last else "NCHW"

    def build(self, engine: EngineName) -> nn.Layer:
        """Such a layer with random weights, in the form that `engine` has by default.

        Raises:
            ArgumentError: if the operator can't take the place of such a convolution.
            ValueError: if Paddle has no such convolution.
        """
        conv: Any = nn.Conv2D(
            self.in_channels,
            self.out_channels,
            self.kernel,
            self.stride,
            list(self.padding) if isinstance(self.padding, tuple) else self.padding,
            dilation=self.dilation,
            groups=self.groups,
            padding_mode=self.padding_mode,
            bias_attr=None if self.bias else False,
            data_format=self._data_format,
        )
        if self.settings is None:
            return conv
        operator = operators.of_settings(self.settings)
        reason = operator.why_not(conv, self.settings)
        if reason:
            raise ArgumentError(reason)
        layer: Any = operator.build(conv, self.settings)
        layer.eval()
        forms = operator.forms
        if forms is None:
            return layer
        if forms.is_scattered(layer):
            forms.take_in_order(layer, np.random.default_rng(0).permutation(self.in_channels))
        folded = forms.fold(layer)
        return forms.build(folded, forms.default(folded, engines.engine(engine)))


def _pair(values: Sequence[int]) -> tuple[int, int]:
    height, width = values
    return int(height), int(width)


def _padding(conv: Any) -> Any:
    """What another `nn.Conv2D` takes for the same, and can be part of a key."""
    if conv._padding_mode != "zeros":  # a number by Paddle's rules; `_updated_padding` is 0 then
        return conv._padding
    if conv._padding_algorithm in ("SAME", "VALID"):
        return conv._padding_algorithm
    padding = conv._updated_padding
    return padding if isinstance(padding, int) else tuple(map(int, padding))
