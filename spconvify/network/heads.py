"""A network's heads: the last layers with weights, which stand before a detector's choice of boxes.

A step like that (a threshold, non-maximum suppression) has no gradient, and gives more or fewer rows for
a slightly different network. So neither agreement nor training can use its results: they take the maps
that it chooses from.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import paddle
from paddle import nn

from spconvify.network.inputs import Sample, forward
from spconvify.network.operations import following, tensors_in
from spconvify.network.outputs import flatten
from spconvify.network.run import evaluating
from spconvify.network.untouched import untouched

Tensors = dict[str, paddle.Tensor]


def heads(model: nn.Layer, sample: Sample | paddle.Tensor) -> list[str]:
    """Names of the layers with weights whose outputs reach no other such layer's with a gradient.

    A layer counts that runs once, and gives one tensor of floats. In the order in which they run.
    """
    layers = {name: layer for name, layer in model.named_sublayers() if _has_weights(layer)}
    names = {id(layer): name for name, layer in layers.items()}
    given: dict[str, list[Any]] = {}

    def note(layer: nn.Layer, _: Any, output: Any) -> None:
        given.setdefault(names[id(layer)], []).extend(tensors_in(output))

    with untouched(model), evaluating(model), following(layers.values(), note), paddle.enable_grad():
        forward(model, _with_gradients(sample))
        outputs = {
            name: found[0]
            for name, found in given.items()
            if len(found) == 1 and paddle.is_floating_point(found[0]) and not found[0].stop_gradient
        }
        return _last(outputs)


def _last(outputs: Tensors) -> list[str]:
    """The names of those that no other comes from; all come in the order in which they were made."""
    waiting, found = list(outputs), list[str]()
    while waiting:
        name = waiting.pop()
        found.insert(0, name)
        if waiting:
            sources = [outputs[each] for each in waiting]
            total = outputs[name].sum()
            gradients = paddle.grad(total, sources, retain_graph=True, allow_unused=True)
            waiting = [each for each, gradient in zip(waiting, gradients) if gradient is None]
    return found


def _has_weights(layer: nn.Layer) -> bool:
    return bool(layer.parameters(include_sublayers=False))


def _with_gradients(sample: Sample | paddle.Tensor) -> Sample:
    """A copy through which gradients go, even where all weights are frozen."""

    def leaf(tensor: paddle.Tensor) -> paddle.Tensor:
        copy = tensor.detach().clone()
        copy.stop_gradient = False
        return copy

    return (sample if isinstance(sample, Sample) else Sample((sample,), {})).changed(leaf)


@contextlib.contextmanager
def outputs_at(model: nn.Layer, names: Sequence[str]) -> Iterator[Tensors]:
    """What the layers of these names give during the block, by the layer's name."""
    found: Tensors = {}
    named = dict(model.named_sublayers())
    by_id = {id(named[name]): name for name in names}

    def note(layer: nn.Layer, _: Any, output: Any) -> None:
        for key, tensor in flatten(output).items():
            found[".".join(filter(None, (by_id[id(layer)], key)))] = tensor

    with following([named[name] for name in names], note):
        yield found
