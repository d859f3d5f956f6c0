"""Parameters and multiply-accumulates, per layer and in total, from one forward pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import paddle
from paddle import nn

from spconvify.network.edges import walk
from spconvify.network.examples import needed_inputs
from spconvify.network.failures import check_dynamic_mode
from spconvify.network.formulas import NO_ARITHMETIC, elements, macs_of
from spconvify.network.operations import MAC_OPERATORS, Operation, watching
from spconvify.network.replacement import FusedReplacement, Replacement
from spconvify.network.run import run, trying


@dataclass
class LayerCost:
    """One layer's own cost, without its sub-layers'; a replaced convolution counts as one layer."""

    name: str
    kind: str
    params: int = 0
    macs: int = 0
    overhead: int = 0  # the part of `macs` for a replacement's BN, pooling, gate, additions
    output_shape: tuple[int, ...] = ()


@dataclass
class Cost:
    """What one input costs a network.

    `params` are the trainable ones (BatchNorm's running statistics aren't). `macs` are the
    multiply-accumulates of convolutions and matrix products, two an element for normalisation, and
    everything that a replaced convolution does besides (`overhead`: one an element). `bytes` is the
    size of all weights and buffers. `uncounted` tells how often each other operator ran.
    """

    layers: list[LayerCost] = field(default_factory=list)
    uncounted: dict[str, int] = field(default_factory=dict)
    bytes: int = 0

    @property
    def params(self) -> int:
        """Trainable parameters in all."""
        return sum(layer.params for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates in all."""
        return sum(layer.macs for layer in self.layers)

    @property
    def overhead(self) -> int:
        """The part of `macs` for pooling, gates, BatchNorms and additions of replaced convolutions."""
        return sum(layer.overhead for layer in self.layers)


def cost(model: nn.Layer, input_shape: Any = None, *, example: Any = None) -> Cost:
    """Count the parameters and MACs of one forward pass.

    Every operator that runs is seen, functional calls too, and put down to the innermost layer that
    runs it; operators without multiply-accumulates are listed in `uncounted`. The model is run in
    eval mode and comes back as it was.

    Args:
        model: the network.
        input_shape: (N, C, H, W); of a network with several inputs a list or a dictionary of shapes, as
            its forward takes them. Arrays and tensors will do in their place, see
            `spconvify.network.inputs.Inputs`.
        example: an input with its values, for the same and in place of it: a tensor or an array, or a
            tuple or dictionary of such, as the network's forward takes them.

    Raises:
        ArgumentError: if the network doesn't run on an input of this shape.
    """
    check_dynamic_mode()
    inputs = needed_inputs(input_shape, example, model)
    rows, owner, slim = _rows(model)
    uncounted: Counter[str] = Counter()

    def count(operation: Operation) -> None:
        row = next(
            (owner[id(layer)] for layer in reversed(operation.layers) if id(layer) in owner), None
        )
        if row is None:  # a layer that isn't registered anywhere
            row = rows[0]
        macs = macs_of(operation)
        if id(row) in slim and operation.name not in MAC_OPERATORS | NO_ARITHMETIC:
            macs = elements(operation) if macs is None else macs
            row.overhead += macs
        if macs is not None:
            row.macs += macs
        elif operation.name not in NO_ARITHMETIC:
            uncounted[operation.name] += 1
        if isinstance(operation.result, paddle.Tensor):
            row.output_shape = tuple(operation.result.shape)

    with trying(model), watching(count):
        run(model, inputs)
    return Cost(
        [row for row in rows if row.params or row.macs],
        dict(uncounted.most_common()),
        _bytes(model),
    )


def _rows(model: nn.Layer) -> tuple[list[LayerCost], dict[int, LayerCost], set[int]]:
    """A row for every layer, which row each layer's operators belong to, and the ids of those rows where
    everything counts, since a dense convolution would do none of it."""
    rows: list[LayerCost] = []
    owner: dict[int, LayerCost] = {}
    counted: set[int] = set()
    slim: set[int] = set()
    for edge in walk(model):
        if id(edge.layer) in owner:
            continue
        row = LayerCost(edge.name, type(edge.layer).__name__)
        rows.append(row)
        inside = edge.layer.sublayers() if isinstance(edge.layer, Replacement) else []
        if isinstance(edge.layer, Replacement) and not isinstance(edge.layer, FusedReplacement):
            slim.add(id(row))
        for layer in (edge.layer, *inside):
            owner[id(layer)] = row
            row.params += _own_params(layer, counted)
    return rows, owner, slim


def _own_params(layer: nn.Layer, counted: set[int]) -> int:
    """Parameters registered on the layer itself; shared ones count once, statistics don't."""
    total = 0
    for key, parameter in layer._parameters.items():
        statistics = key in ("_mean", "_variance") and hasattr(layer, "_momentum")
        if parameter is not None and not statistics and id(parameter) not in counted:
            counted.add(id(parameter))
            total += int(np.prod(parameter.shape))
    return total


def _bytes(model: nn.Layer) -> int:
    tensors = {id(tensor): tensor for tensor in model.state_dict().values()}.values()
    return sum(int(np.prod(tensor.shape)) * tensor.element_size() for tensor in tensors)
