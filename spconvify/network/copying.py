"""Copy a network, or say why that can't be done: what can't be copied, or what the copy shares."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from paddle import nn

from spconvify.errors import ArgumentError, ConversionError, Option
from spconvify.network.failures import first_line
from spconvify.network.inputs import Inputs, Sample, forward
from spconvify.network.outputs import arrays
from spconvify.network.run import trying

_INTERNALS = frozenset(nn.Layer().__dict__)


def copied(model: nn.Layer) -> nn.Layer:
    """A deep copy.

    Raises:
        ArgumentError: names the layer and the attribute that can't be copied: a lock, an open file, a
            generator.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever an object's own __deepcopy__ or __reduce_ex__ raises
        raise ArgumentError(
            f"the network can't be copied: {_culprit(model)}{first_line(error)}; take it off the "
            "network meanwhile, or give its class a __deepcopy__"
        ) from error


def faithful_copy(model: nn.Layer, inputs: Inputs | None) -> nn.Layer:
    """A deep copy that computes what the network does, on two inputs; without any, it isn't looked at.

    Raises:
        ArgumentError: if the network can't be copied.
        ConversionError: if the copy computes something else.
    """
    new = copied(model)
    if inputs is not None:
        check_copy(model, new, [inputs.sample(model, seed) for seed in (0, 1)])
    return new


def check_copy(model: nn.Layer, new: nn.Layer, samples: Iterable[Sample]) -> None:
    """Refuse a copy that computes something else than the network: a hook or a closure of the copy may
    still hold the original, and read or write there.

    A network that doesn't run, or gives something else each time, isn't judged.

    Raises:
        ConversionError: with the remedy.
    """
    for sample in samples:
        if not _computes_the_same(model, new, sample):
            raise ConversionError(
                "a copy of the network computes something else than the network itself: a hook, a "
                "closure or a bound method in it holds the original. Let hooks use the layer that they "
                "are given, or convert it in place (",
                Option("inplace", True),
                ")",
            )


def _computes_the_same(model: nn.Layer, new: nn.Layer, sample: Sample) -> bool:
    """Also True where that can't be told: of what the network itself raises somebody else says more."""
    try:
        with trying(model):
            first = arrays(forward(model, sample))
    except Exception:  # whatever the user's network raises
        return True
    found = None  # where only the copy doesn't run, as one whose features go to the original
    with contextlib.suppress(Exception), trying(model), trying(new):  # it may write into the original
        found = arrays(forward(new, sample))
    if found is not None and are_same(first, found):
        return True
    try:
        with trying(model):
            again = arrays(forward(model, sample))
    except Exception:
        return True
    return not are_same(first, again)


def are_same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two results of a network, as `spconvify.network.outputs.arrays` gives them, are equal but
    for rounding."""
    if first.keys() != second.keys():
        return False
    return all(
        first[name].shape == second[name].shape
        and np.allclose(first[name], second[name], 1e-3, _absolute(first[name]), equal_nan=True)
        for name in first
    )


def _absolute(array: np.ndarray) -> float:
    """What rounding may be off by, of numbers of this size."""
    if array.dtype.kind not in "fc":
        return 0.0
    return 1e-4 * float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def _culprit(model: nn.Layer) -> str:
    """ "layer '0', attribute 'guard' is a lock: " for the first that can't be copied by itself."""
    for name, layer in model.named_sublayers(include_self=True):
        for attribute, value in vars(layer).items():
            if attribute in _INTERNALS:
                continue
            try:
                copy.deepcopy(value)
            except Exception:
                where = f"layer {name!r}, attribute" if name else "its attribute"
                return f"{where} {attribute!r} is a {type(value).__name__}: "
    return ""
