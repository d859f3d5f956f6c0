"""An SPConv2D with its BatchNorms, and the one behind it, folded into its convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spconvify.network.norms import bias_of, gain_and_offset, to_float64
from spconvify.operators.spconv.layer import SPConv2D

_NO_GAIN = 1e-20  # of a BatchNorm that switches its channel off


@dataclass(frozen=True, eq=False)
class Folded:
    """An SPConv2D with every BatchNorm folded in, as float64 arrays.

    With r of C input channels representative (X₃, in the order of the groups; X₁ is the rest), P for
    the average over the stride, and L output channels::

        Y₃ = GWC X₃ + PWC P(X₃) + bias3        Y₁ = U P(X₁) + bias1
        sum:  Y = Y₃ + Y₁
        gap:  Y = Y₁ + σ(scale · GAP(Y₃ - Y₁)) · (Y₃ - Y₁)

    `gwc` is (L, r / groups, 3, 3), `pwc` (L, r), `uncertain` (L, C - r), the others (L,). The second
    line is the paper's softmax over two logits (equations 6 and 7), multiplied out. `scale` takes the
    gain of a BatchNorm behind the layer out of the gate's input again; None for sum.
    """

    layer: SPConv2D  # for its geometry
    gwc: np.ndarray
    pwc: np.ndarray
    uncertain: np.ndarray
    bias3: np.ndarray
    bias1: np.ndarray
    scale: np.ndarray | None
    channels: np.ndarray  # (C,) representative ones first

    @property
    def representative(self) -> np.ndarray:
        """(r,) the input channels of X₃."""
        return self.channels[: self.layer.representative]

    @property
    def rest(self) -> np.ndarray:
        """(C - r,) the input channels of X₁."""
        return self.channels[self.layer.representative :]


def fold(layer: SPConv2D, norm: Any = None) -> Folded:
    """Fold an SPConv2D's own BatchNorms, and `norm` behind it if there is one."""
    outputs = layer.out_channels
    gwc = to_float64(layer.gwc.weight)
    pwc, uncertain = (to_float64(conv.weight)[:, :, 0, 0] for conv in (layer.pwc, layer.conv1x1))
    bias3, bias1 = (bias_of(conv, outputs) for conv in (layer.pwc, layer.conv1x1))
    bias3 = bias3 + bias_of(layer.gwc, outputs)
    scale = None
    if layer.fusion == "gap":
        gain, offset = gain_and_offset(layer.bn1)
        gwc, pwc, bias3 = gwc * gain[:, None, None, None], pwc * gain[:, None], bias3 * gain + offset
        gain, offset = gain_and_offset(layer.bn2)
        uncertain, bias1 = uncertain * gain[:, None], bias1 * gain + offset
        scale = np.ones(outputs)
    if norm is not None:
        gain, offset = gain_and_offset(norm)
        gwc, pwc, uncertain = (
            gwc * gain[:, None, None, None],
            pwc * gain[:, None],
            uncertain * gain[:, None],
        )
        if scale is None:
            bias3, bias1 = bias3 * gain + offset, bias1 * gain
        else:
            # Y₃ and Y₁ are averaged with weights that add up to one: each takes the whole offset.
            bias3, bias1 = bias3 * gain + offset, bias1 * gain + offset
            scale = np.where(np.abs(gain) > _NO_GAIN, 1.0 / np.where(gain == 0.0, 1.0, gain), 0.0)
    return _in_order(Folded(layer, gwc, pwc, uncertain, bias3, bias1, scale, _channels(layer)))


def _in_order(folded: Folded) -> Folded:
    """The same with ascending channels within each group and the rest: neighbours can be sliced."""
    layer = folded.layer
    in_group = np.argsort(folded.representative.reshape(layer.groups, -1), axis=1)
    size = in_group.shape[1]
    order = (in_group + size * np.arange(layer.groups)[:, None]).ravel()
    rest = np.argsort(folded.rest)
    rows = np.repeat(in_group, layer.out_channels // layer.groups, axis=0)
    return replace(
        folded,
        gwc=np.take_along_axis(folded.gwc, rows[:, :, None, None], axis=1),
        pwc=folded.pwc[:, order],
        uncertain=folded.uncertain[:, rest],
        channels=np.concatenate([folded.representative[order], folded.rest[rest]]),
    )


def _channels(layer: SPConv2D) -> np.ndarray:
    if layer.channels is None:
        return np.arange(layer.in_channels)
    return layer.channels.numpy()
