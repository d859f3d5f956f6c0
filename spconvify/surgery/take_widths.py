"""Give a network the widths of a checkpoint: some of the channels between its convolutions are gone."""

from __future__ import annotations

from typing import Any

from paddle import nn

from spconvify.checkpoint.narrowed import channels_gone
from spconvify.network.edges import walk
from spconvify.network.replacement import Replacement
from spconvify.operators.recognised import Shapes, join
from spconvify.operators.registry import dense_shapes
from spconvify.surgery.places import Places
from spconvify.surgery.slices import slice_of_conv, slice_of_norm


def take_widths(model: nn.Layer, shapes: Shapes) -> nn.Layer:
    """The network with convolutions and BatchNorms as narrow as the shapes say; changed in place.

    Nothing is changed where the shapes aren't those of a narrowing: then the weights don't fit, and that
    is said where they are written. Which channels are gone can't be told, so the values that stay are
    the first ones: the checkpoint's take their place.

    Args:
        model: the network before, dense where the checkpoint may be converted.
        shapes: of the checkpoint, by key.

    Returns:
        The network; the convolution that took its place, if it is one itself.
    """
    wanted = dense_shapes(shapes)
    differing = []
    for key, tensor in model.state_dict().items():
        if key in wanted and tuple(wanted[key]) != tuple(tensor.shape):
            differing.append((tuple(wanted[key]), tuple(int(size) for size in tensor.shape)))
    if not channels_gone(differing):
        return model
    places = Places(model)
    for name, layer in {edge.name: edge.layer for edge in walk(model)}.items():
        new = _as_narrow(layer, name, wanted)
        if new is not None:
            places.put(layer, new)
    return places.root


def _as_narrow(layer: Any, name: str, wanted: Shapes) -> nn.Layer | None:
    """A narrower layer in place of one; None where it is as it should be."""
    if isinstance(layer, Replacement):
        return None
    if type(layer) is nn.Conv2D and join(name, "weight") in wanted:
        outputs, inputs = wanted[join(name, "weight")][:2]
        if (outputs, inputs) == tuple(layer.weight.shape[:2]):
            return None
        return slice_of_conv(layer, range(outputs), range(inputs))
    mean = getattr(layer, "_mean", None)
    channels = wanted.get(join(name, "_mean"))
    if mean is None or channels is None or tuple(channels) == tuple(mean.shape):
        return None
    return slice_of_norm(layer, range(channels[0]))
