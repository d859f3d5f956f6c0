"""Where an engine fails: whether the network casts to half precision on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from paddle import nn

from spconvify.errors import EngineError
from spconvify.network.inputs import Inputs, forward
from spconvify.network.operations import Operation, tensors_in, watching
from spconvify.network.run import trying

_HALF = ("bfloat16", "float16")


@contextlib.contextmanager
def naming_half_precision(model: nn.Layer, inputs: Inputs) -> Iterator[None]:
    """Say in an engine's errors that the network computes in half precision, if it does.

    Engines report that in words of their own, by no more than an exception in C++, or by other outputs.
    Only where one fails, the network is looked at.
    """
    try:
        yield
    except EngineError as problem:
        found = half_precision_in(model, inputs)
        if found is None:
            raise
        dtype, layer = found
        where = f" in layer {layer!r}" if layer else ""
        raise EngineError(
            problem,
            f". The network casts to {dtype}{where}, and engines compute with that otherwise on a CPU, "
            "or not at all; deploy it without that cast",
        ) from problem


def half_precision_in(model: nn.Layer, inputs: Inputs) -> tuple[str, str] | None:
    """The first dtype in half precision that an operator gives on the inputs, and the layer it is in."""
    found: list[tuple[str, nn.Layer | None]] = []

    def look(operation: Operation) -> None:
        for tensor in () if found else tensors_in(operation.result):
            dtype = str(tensor.dtype).rpartition(".")[2]
            if dtype in _HALF:
                found.append((dtype, operation.layers[-1] if operation.layers else None))

    with contextlib.suppress(Exception), trying(model), watching(look):  # whatever the network raises
        forward(model, inputs.sample(model))
    if not found:
        return None
    dtype, layer = found[0]
    names = (name for name, each in model.named_sublayers() if each is layer)
    return dtype, next(names, "")
