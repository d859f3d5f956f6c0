"""What of two networks' outputs can be compared: detectors' boxes can't, the maps before them can."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from paddle import nn

from spconvify.network.batches import Batch, size_of, taken
from spconvify.network.copying import are_same
from spconvify.network.heads import heads, outputs_at
from spconvify.network.inputs import Inputs
from spconvify.network.outputs import arrays
from spconvify.network.run import run, trying

REMEDY = ("give images of the size, channels and layout that it takes",)
Arrays = dict[str, np.ndarray]
VARIES = (
    "The original's own outputs differ from run to run, as with dropout that is always on: that tells "
    "more of it than of the conversion"
)


class Comparable:
    """Runs both networks; leaves out what the images decide the size of, and gives the heads instead.

    Attributes:
        maps: names of the outputs that are those of a layer.
        left_out: names of those whose size the images decide.
    """

    def __init__(self, original: nn.Layer, converted: nn.Layer):
        self._networks = original, converted
        self.left_out: set[str] = set()
        self._heads: Sequence[str] = ()
        self._is_decided = False
        self.maps: set[str] = set()

    def __call__(self, batch: Batch) -> tuple[Arrays, Arrays]:
        """The outputs of both networks, by name."""
        before, after = (self._run(network, batch) for network in self._networks)
        if not self._is_decided and _is_suspicious(batch, before, after):
            self._decide(batch)
            # Where a detector finds nothing there is nothing to tell by: other images may show more.
            self._is_decided = bool(self._heads) or all(array.size for array in before.values())
            if self._heads:
                before, after = (self._run(network, batch) for network in self._networks)
        return before, after

    def _run(self, network: nn.Layer, batch: Batch) -> Arrays:
        with outputs_at(network, self._heads) as maps:
            found = arrays(run(network, Inputs.of(batch), remedy=REMEDY))
        kept = {name: array for name, array in found.items() if name not in self.left_out}
        named = {f"layer {name!r}": arrays(tensor)[""] for name, tensor in maps.items()}
        self.maps |= named.keys()
        return {**kept, **named}

    def _decide(self, batch: Batch) -> None:
        """Whether the images decide the size of an output, and which maps there are in its place."""
        original = self._networks[0]
        varying = varying_outputs(original, batch)
        if not varying:
            return
        with contextlib.suppress(Exception):  # a network may have operators without a gradient
            self._heads = heads(original, Inputs.of(taken(batch, slice(1))).sample(original))
        if self._heads:
            self.left_out = varying


def varying_outputs(model: nn.Layer, batch: Batch) -> set[str]:
    """Names of the outputs whose shape isn't the same for all of a few single images."""
    images = [taken(batch, slice(1)), taken(batch, slice(-1, None))]
    if isinstance(batch, np.ndarray):
        images.append(-batch[:1])
    shapes: dict[str, set[Any]] = {}
    for image in images:
        try:
            found = arrays(run(model, Inputs.of(image)))
        except Exception:  # it takes no single image, or no such values
            continue
        for name, array in found.items():
            shapes.setdefault(name, set()).add(array.shape)
    return {name for name, several in shapes.items() if len(several) > 1}


def varies(model: nn.Layer, batch: Batch) -> bool:
    """Whether a second run gives something else than the first."""
    inputs = Inputs.of(batch)
    with trying(model):
        first, second = (arrays(run(model, inputs)) for _ in range(2))
    return not are_same(first, second)


def _is_suspicious(batch: Batch, before: Arrays, after: Arrays) -> bool:
    """Whether an output has no row for each image, or isn't alike in both networks."""
    return any(
        array.shape[:1] != (size_of(batch),) or name not in after or after[name].shape != array.shape
        for name, array in before.items()
    )
