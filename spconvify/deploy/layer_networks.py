"""The small networks that are timed to know a layer's time: it in its surroundings, and these alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import prod

import paddle
from paddle import nn

from spconvify.deploy.layer_shape import LayerShape
from spconvify.deploy.surroundings import Ends, Surroundings
from spconvify.engines.registry import EngineName
from spconvify.errors import ArgumentError, EngineError
from spconvify.network.untouched import same_random_numbers

_FLOAT_BYTES = 4
_COPIES = 3  # of weights and maps, at most: what an engine makes of them beside what it is given


@dataclass(frozen=True, eq=False)
class LayerNetwork:
    """One network.

    Attributes:
        key: everything that decides how long it takes in an engine, as text.
        input_shape: of the network.
        memory: the bytes that it takes in an engine, about.
        build: makes it for an engine, with random weights; raises EngineError if it can't be.
    """

    key: str
    input_shape: tuple[int, ...]
    memory: int
    build: Callable[[EngineName], nn.Layer]


def with_layer(shape: LayerShape) -> LayerNetwork:
    """The layer in its surroundings."""
    fields = "out_channels kernel stride padding padding_mode dilation groups bias".split()
    described = ", ".join(f"{name} {getattr(shape, name)}" for name in fields)
    ends = shape.ends
    weights = shape.out_channels * shape.in_channels // shape.groups * prod(shape.kernel)
    inputs, outputs = (_map(shape, at_output) for at_output in (False, True))
    return LayerNetwork(
        f"{_text(shape.input_shape, ends)} -> {described}, {shape.settings or 'dense'}",
        ends.input_shape(shape.input_shape),
        _memory(weights + (prod(inputs) + prod(outputs)) * ends.repeats),
        partial(_surrounded, shape),
    )


def without_layer(shape: LayerShape) -> list[LayerNetwork]:
    """Surroundings alone, whose mean is what those of the layer take.

    Where the layer can follow itself, they are the layer's own. Otherwise those at its input and those
    at its output: half of either is around it.
    """
    if shape.ends.repeats > 1:
        return [_empty(shape.input_shape, shape.ends)]
    ends = replace(shape.ends, keeps_size=False)  # no shortcut
    either = [
        (shape.input_shape, replace(ends, out_channels=ends.in_channels)),
        (_map(shape, at_output=True), replace(ends, in_channels=ends.out_channels)),
    ]
    return [_empty(given, around) for given, around in dict.fromkeys(either)]


def _map(shape: LayerShape, at_output: bool) -> tuple[int, ...]:
    if not at_output:
        return shape.input_shape
    return replace(shape, in_channels=shape.out_channels, size=shape.output_size).input_shape


def _empty(layer_input: tuple[int, ...], ends: Ends) -> LayerNetwork:
    what = "surroundings with a shortcut" if ends.repeats > 1 else "surroundings"
    return LayerNetwork(
        f"{_text(layer_input, ends)}, {what}",
        ends.input_shape(layer_input),
        _memory(2 * prod(layer_input)),
        lambda engine: _built(lambda: Surroundings(None, ends)),
    )


def _text(layer_input: tuple[int, ...], ends: Ends) -> str:
    return f"{'x'.join(map(str, layer_input))} {ends.data_format}"


def _memory(numbers: int) -> int:
    return _COPIES * _FLOAT_BYTES * numbers


def _surrounded(shape: LayerShape, engine: EngineName) -> nn.Layer:
    try:
        return _built(lambda: Surroundings(shape.build(engine), shape.ends))
    except (ArgumentError, ValueError) as error:
        raise EngineError(f"{shape} can't be built: {error}") from error


def _built(build: Callable[[], nn.Layer]) -> nn.Layer:
    """What `build` gives, without a trace on what the user's own networks get."""
    with same_random_numbers(), paddle.no_grad(), paddle.utils.unique_name.guard():
        return build()
